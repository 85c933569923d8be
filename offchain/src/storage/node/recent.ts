/** The last so many, the oldest goes; whatever is asked for again is young again. */
export function createRecent<Key, Value>(most: number, weigh: (value: Value) => number) {
  const values = new Map<Key, Value>();
  let weight = 0;
  const remove = (key: Key): void => {
    const value = values.get(key);
    if (value !== undefined && values.delete(key)) weight -= weigh(value);
  };
  const set = (key: Key, value: Value): void => {
    remove(key);
    values.set(key, value);
    weight += weigh(value);
    for (const oldest of values.keys()) {
      if (weight <= most || values.size === 1) return;
      remove(oldest);
    }
  };
  const get = (key: Key): Value | undefined => {
    const value = values.get(key);
    if (value !== undefined) set(key, value);
    return value;
  };
  return { get, set, remove };
}
