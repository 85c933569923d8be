/**
 * GPUs by one name each. Providers write "NVIDIA A100-SXM4-80GB", "A100_80GB", "RTX 4090" or "h100"; here each is a row with the
 * memory it is sold with, and odd figures (39,936 MB, 183,359 MB, 45 GB) are snapped to it. What no row has stays under the name
 * that was given, is listed, and is marked as unknown.
 */

/** How a GPU sits in its machine. */
type GpuForm = "PCIe" | "SXM" | "NVL";

export interface Gpu {
  /** Canonical, or what the provider wrote where no row has it. */
  readonly model: string;
  /** Whether a row has it. */
  readonly known: boolean;
  /** `RTX 40`, `data centre`, …; `other` where no row has it. */
  readonly class: string;
  readonly form?: GpuForm;
  /** Of one GPU or of the slice that is offered. */
  readonly vramGb: number;
  /** Of a MIG slice: `1g.24gb`. */
  readonly slice?: string;
}

interface GpuRow {
  readonly model: string;
  readonly class: string;
  /** GB that it is sold with, the smallest first. */
  readonly sizes: readonly number[];
  /** The name without maker, memory, form and spaces. */
  readonly name: RegExp;
  /**
   * Dense products in half precision with sums in single, 10^12 FLOP/s, by the makers' data sheets; absent where they were not looked up.
   * A machine trains at a share of it.
   */
  readonly tflops?: number;
}

const row = (kind: string, model: string, sizes: readonly number[], name: RegExp, tflops?: number): GpuRow => ({
  model,
  class: kind,
  sizes,
  name,
  ...(tflops === undefined ? {} : { tflops }),
});

const rows: readonly GpuRow[] = [
  row("RTX 30", "RTX 3060", [8, 12], /^(RTX)?3060$/, 25),
  row("RTX 30", "RTX 3060 Ti", [8], /^(RTX)?3060TI$/, 32),
  row("RTX 30", "RTX 3070", [8], /^(RTX)?3070$/, 40),
  row("RTX 30", "RTX 3070 Ti", [8], /^(RTX)?3070TI$/, 43),
  row("RTX 30", "RTX 3080", [10, 12], /^(RTX)?3080$/, 59),
  row("RTX 30", "RTX 3080 Ti", [12], /^(RTX)?3080TI$/, 68),
  row("RTX 30", "RTX 3090", [24], /^(RTX)?3090$/, 71),
  row("RTX 30", "RTX 3090 Ti", [24], /^(RTX)?3090TI$/, 80),
  row("RTX 40", "RTX 4060", [8], /^(RTX)?4060$/),
  row("RTX 40", "RTX 4060 Ti", [8, 16], /^(RTX)?4060TI$/),
  row("RTX 40", "RTX 4070", [12], /^(RTX)?4070$/),
  row("RTX 40", "RTX 4070 SUPER", [12], /^(RTX)?4070S(UPER)?$/),
  row("RTX 40", "RTX 4070 Ti", [12], /^(RTX)?4070TI$/, 80),
  row("RTX 40", "RTX 4070 Ti SUPER", [16], /^(RTX)?4070TIS(UPER)?$/),
  row("RTX 40", "RTX 4080", [16], /^(RTX)?4080$/, 97),
  row("RTX 40", "RTX 4080 SUPER", [16], /^(RTX)?4080S(UPER)?$/),
  row("RTX 40", "RTX 4090", [24], /^(RTX)?4090D?$/, 165),
  row("RTX 50", "RTX 5060", [8], /^(RTX)?5060$/),
  row("RTX 50", "RTX 5060 Ti", [8, 16], /^(RTX)?5060TI$/),
  row("RTX 50", "RTX 5070", [12], /^(RTX)?5070$/),
  row("RTX 50", "RTX 5070 Ti", [16], /^(RTX)?5070TI$/),
  row("RTX 50", "RTX 5080", [16], /^(RTX)?5080$/, 112),
  row("RTX 50", "RTX 5090", [32], /^(RTX)?5090$/, 209),
  row("workstation", "RTX 2000 Ada", [16], /^(RTX)?2000ADA$/),
  row("workstation", "RTX 4000 Ada", [20], /^(RTX)?4000(SFF)?ADA(SFF)?$/),
  row("workstation", "RTX 4500 Ada", [24], /^(RTX)?4500ADA$/),
  row("workstation", "RTX 5000 Ada", [32], /^(RTX)?5000ADA$/),
  row("workstation", "RTX 6000 Ada", [48], /^(RTX)?6000ADA$/, 364),
  row("workstation", "RTX PRO 4000", [24], /^(RTX)?PRO4000$/),
  row("workstation", "RTX PRO 4500", [32], /^(RTX)?PRO4500$/),
  row("workstation", "RTX PRO 5000", [48, 72], /^(RTX)?PRO5000$/),
  row("workstation", "RTX PRO 6000", [96], /^(RTX)?PRO6000(WS|S)?$/),
  row("workstation", "A2000", [6, 12], /^(RTX)?A2000$/),
  row("workstation", "A4000", [16], /^(RTX)?A4000$/, 77),
  row("workstation", "A4500", [20], /^(RTX)?A4500$/),
  row("workstation", "A5000", [24], /^(RTX)?A5000$/, 111),
  row("workstation", "A6000", [48], /^(RTX)?A6000$/, 155),
  row("data centre", "A10", [24], /^A10$/, 125),
  row("data centre", "A40", [48], /^A40$/, 150),
  row("data centre", "L4", [24], /^L4$/, 121),
  row("data centre", "L40", [48], /^L40$/, 181),
  row("data centre", "L40S", [48], /^L40S$/, 362),
  row("data centre", "V100", [16, 32], /^V100$/, 112),
  row("data centre", "A100", [40, 80], /^A100$/, 312),
  row("data centre", "H100 NVL", [94], /^H100NVL$/, 835),
  row("data centre", "H100", [80], /^H100$/, 756),
  row("data centre", "H200", [141], /^H200(NVL)?$/, 989),
  row("data centre", "B200", [180], /^B200$/, 2_250),
  row("data centre", "B300", [288], /^B300$/, 2_250),
  row("data centre", "GH200", [96, 144], /^GH200$/, 989),
  row("data centre", "MI300X", [192], /^MI300X$/, 1_307),
];

const byModel = new Map(rows.map((each) => [each.model, each]));
/** All canonical names, and the classes that group them. */
export const gpuModels: readonly string[] = rows.map(({ model }) => model);
export const gpuClasses: readonly string[] = [...new Set(rows.map((each) => each.class))];

/** 10^12 FLOP/s of one whole GPU; undefined where it is not known. PCIe, the slower form, where the row has both. */
export const tflopsOf = ({ model, slice, form }: Gpu): number | undefined =>
  slice !== undefined ? undefined : model === "H100" && form === "SXM" ? 989 : byModel.get(model)?.tflops;

/** Words that say nothing of the model. */
const NOISE =
  /\b(NVIDIA|GEFORCE|TESLA|AMD|INSTINCT|OAM|HBM[23]E?|AC|GENERATION|BLACKWELL|WORKSTATION|SERVER|EDITION|MAX ?Q|WS|WK|SE|LAPTOP|GDR|NVLINK)\b/g;

/** How far a figure may be from a size to be it. */
const NEAR = 0.07;

/** The size of a model that a figure means, or the figure, to the GB, where none is near: a variant. */
function snapped(sizes: readonly number[], vramGb: number): number {
  const [nearest] = sizes.toSorted((a, b) => Math.abs(a - vramGb) - Math.abs(b - vramGb));
  return nearest !== undefined && Math.abs(nearest - vramGb) <= NEAR * nearest ? nearest : Math.round(vramGb);
}

function formIn(text: string): GpuForm | undefined {
  if (/\bNVL\b/.test(text)) return "NVL";
  // Of the H100 the SXM module alone has HBM3.
  if (/SXM|H100\b.*\bHBM3\b/.test(text)) return "SXM";
  return /PCI-?E/.test(text) ? "PCIe" : undefined;
}

/** A memory in a name: `80GB`, `40 G`, `24GiB`. */
const MEMORY = /(?<![\d.])(\d{1,3}) ?G(?:I?B)?\b/;
const SLICE = /\bMIG (\d)G[. ](\d+)GB\b.*/;

/** What a name says beside the model: its slice, its memory, the words that are left. */
function partsOf(upper: string): { slice: string | undefined; told: number | undefined; bare: string } {
  const mig = SLICE.exec(upper);
  const whole = upper.replace(SLICE, "");
  const memory = mig?.[2] ?? MEMORY.exec(whole)?.[1];
  return {
    slice: mig ? `${mig[1]}g.${mig[2]}gb` : undefined,
    told: memory === undefined ? undefined : Number(memory),
    bare: whole
      .replaceAll(new RegExp(MEMORY, "g"), " ")
      .replaceAll(/\b(SXM\d?|PCI ?E)\b/g, " ")
      .replaceAll(NOISE, " ")
      .replaceAll(/\s+/g, " ")
      .trim(),
  };
}

/** GB of a GPU or slice: as sold, where the model is known and nothing else is meant. */
function vramOf(found: GpuRow | undefined, given: number | undefined, isSlice: boolean): number | undefined {
  if (given === undefined || given <= 0) return found?.sizes[0];
  return isSlice || found === undefined ? Math.round(given) : snapped(found.sizes, given);
}

/**
 * A GPU out of a provider's words.
 * @param name as the provider writes it
 * @param vramGb of one GPU, where it is told apart; else it is looked for in the name, and of several sizes the smallest is assumed
 * @param socket where it is told apart: `SXM5`, `PCIe`
 * @returns undefined where no memory can be told
 */
export function gpuOf(name: string, vramGb?: number, socket = ""): Gpu | undefined {
  const upper = name.toUpperCase().replaceAll(/[_()\-,/]/g, " ");
  const { slice, told, bare } = partsOf(upper);
  const found = rows.find((each) => each.name.test(bare.replaceAll(" ", "")));
  const form = formIn(`${upper} ${socket.toUpperCase()}`);
  const size = vramOf(found, slice === undefined ? (vramGb ?? told) : told, slice !== undefined);
  if (size === undefined || size < 1) return undefined;
  return {
    model: found?.model ?? (bare || "unnamed"),
    known: found !== undefined,
    class: found?.class ?? "other",
    ...(form === undefined ? {} : { form }),
    vramGb: size,
    ...(slice === undefined ? {} : { slice }),
  };
}
