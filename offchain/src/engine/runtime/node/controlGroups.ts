/** What Linux's control groups, a container's for instance, leave this process of the machine's memory. */

/** Text of a file, undefined where there is none. */
type Read = (path: string) => string | undefined;

/** Files of a group's memory, by the version of the hierarchy that it is in (kernel documentation, cgroup-v2 and cgroup-v1/memory). */
interface Hierarchy {
  readonly root: string;
  readonly limits: readonly string[];
  readonly used: string;
  /** In memory.stat: file pages that are given up before anything fails. */
  readonly reclaimable: string;
}

const second: Hierarchy = {
  root: "/sys/fs/cgroup",
  limits: ["memory.max", "memory.high"],
  used: "memory.current",
  reclaimable: "inactive_file",
};
const first: Hierarchy = {
  root: "/sys/fs/cgroup/memory",
  limits: ["memory.limit_in_bytes"],
  used: "memory.usage_in_bytes",
  reclaimable: "total_inactive_file",
};

const hierarchyOf = (controllers: string): Hierarchy | undefined => {
  if (controllers === "") return second;
  return controllers.split(",").includes("memory") ? first : undefined;
};

/** A group and those around it. A container may see its own as the root of a path that it does not have. */
function aroundOf(path: string): string[] {
  const names = path.split("/").filter(Boolean);
  return Array.from({ length: names.length + 1 }, (_, most) => ["", ...names.slice(0, most)].join("/"));
}

/** A whole number of bytes; "max" and a file that is not there are none. */
const bytesIn = (text: string | undefined): number => (/^\d+$/.test(text?.trim() ?? "") ? Number(text) : Infinity);

function leftIn({ root, limits, used, reclaimable }: Hierarchy, group: string, read: Read): number {
  const limit = Math.min(...limits.map((name) => bytesIn(read(`${root}${group}/${name}`))));
  const taken = bytesIn(read(`${root}${group}/${used}`));
  if (limit === Infinity || taken === Infinity) return Infinity;
  const cached = new RegExp(`^${reclaimable} (\\d+)$`, "m").exec(read(`${root}${group}/memory.stat`) ?? "")?.[1] ?? 0;
  return Math.max(0, limit - taken + Number(cached));
}

/** Bytes that the tightest of this process's groups leaves it; Infinity where none bounds it. */
export function leftByGroups(read: Read): number {
  const left = (read("/proc/self/cgroup") ?? "").split("\n").flatMap((line) => {
    const [, controllers = "", path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    const hierarchy = path === undefined ? undefined : hierarchyOf(controllers);
    return hierarchy ? aroundOf(path ?? "").map((group) => leftIn(hierarchy, group, read)) : [];
  });
  return Math.min(Infinity, ...left);
}
