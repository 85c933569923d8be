/** One name for a GPU, whatever a provider calls it, and the memory it is sold with. */
import { describe, expect, test } from "vitest";

import { gpuModels, gpuOf, tflopsOf } from "../../../offchain/src/market/gpus.ts";

const shown = (name: string, vram?: number, socket?: string): string | undefined => {
  const gpu = gpuOf(name, vram, socket);
  return (
    gpu && [gpu.model, gpu.form, gpu.vramGb, gpu.slice, gpu.known ? undefined : "unknown"].filter(Boolean).join(" ")
  );
};

describe("names", () => {
  test.each([
    // Vast.ai, memory in MB.
    ["A100 SXM4", 39_936 / 1_024, undefined, "A100 SXM 40"],
    ["A100 PCIE", 81_920 / 1_024, undefined, "A100 PCIe 80"],
    ["B200", 183_359 / 1_024, undefined, "B200 180"],
    ["H100 NVL", 95_830 / 1_024, undefined, "H100 NVL NVL 94"],
    ["H200", 143_771 / 1_024, undefined, "H200 141"],
    ["L40S", 46_068 / 1_024, undefined, "L40S 48"],
    ["RTX_3090_Ti", 24, undefined, "RTX 3090 Ti 24"],
    ["RTX PRO 6000 WS", 95, undefined, "RTX PRO 6000 96"],
    ["RTX PRO 6000 S", 95, undefined, "RTX PRO 6000 96"],
    ["A100-80G-PCIe-NVLink", undefined, undefined, "A100 PCIe 80"],
    // RunPod.
    ["NVIDIA H100 80GB HBM3", 80, undefined, "H100 SXM 80"],
    ["NVIDIA GeForce RTX 4080 SUPER", 16, undefined, "RTX 4080 SUPER 16"],
    ["NVIDIA RTX 4000 SFF Ada Generation", 20, undefined, "RTX 4000 Ada 20"],
    ["NVIDIA RTX PRO 6000 Blackwell Max-Q Workstation Edition", 96, undefined, "RTX PRO 6000 96"],
    ["NVIDIA RTX PRO 6000 Blackwell Server Edition MIG 1g.24gb", 24, undefined, "RTX PRO 6000 24 1g.24gb"],
    ["AMD Instinct MI300X OAM", 192, undefined, "MI300X 192"],
    ["Tesla V100-SXM2-16GB", 16, undefined, "V100 SXM 16"],
    ["NVIDIA B300 SXM6 AC", 288, undefined, "B300 SXM 288"],
    ["NVIDIA H200 NVL", 143, undefined, "H200 NVL 141"],
    // Lambda, Prime Intellect, Shadeform, Akash.
    ["H100 (80 GB SXM5)", undefined, undefined, "H100 SXM 80"],
    ["A10 (24 GB PCIe)", undefined, undefined, "A10 PCIe 24"],
    ["A100_80GB", 80, "SXM4", "A100 SXM 80"],
    ["RTX6000Ada", undefined, undefined, "RTX 6000 Ada 48"],
    ["RTXPro6000", undefined, undefined, "RTX PRO 6000 96"],
    ["A100_80G", undefined, undefined, "A100 80"],
    ["h100 80GB", undefined, "SXM5", "H100 SXM 80"],
    ["rtx4090 24GB", undefined, "PCIe", "RTX 4090 PCIe 24"],
    // Of several sizes the smallest, where none is told.
    ["A100", undefined, undefined, "A100 40"],
    // A variant that is sold with twice the memory.
    ["RTX 4090", 48, undefined, "RTX 4090 48"],
    // 24 GB of Turing, not the Ada of the same number.
    ["RTX 6000", 24, undefined, "RTX 6000 24 unknown"],
    ["A16", 16, undefined, "A16 16 unknown"],
    ["GPU of tomorrow", 96, undefined, "GPU OF TOMORROW 96 unknown"],
    ["GPU of tomorrow", undefined, undefined, undefined],
    ["unknown", 0, undefined, undefined],
  ])("%s, %s GB, %s", (name, vram, socket, expected) => {
    expect(shown(name, vram, socket)).toBe(expected);
  });

  test("every canonical name is its own", () => {
    for (const model of gpuModels) expect(gpuOf(model)).toMatchObject({ model, known: true });
  });

  test("no name takes long, however it is written", () => {
    expect(gpuOf(`${"80 GB ".repeat(5_000)}H100${" SXM".repeat(5_000)}`)).toMatchObject({ model: "H100" });
  });
});

const speed = (name: string) => tflopsOf(gpuOf(name) ?? { model: "", known: false, class: "", vramGb: 1 });

test("a slice computes at a speed that nobody tells; the slower form stands for one that is not told", () => {
  expect(speed("H100")).toBe(756);
  expect(speed("H100 SXM")).toBe(989);
  expect(speed("RTX PRO 6000 MIG 1g.24gb")).toBeUndefined();
  expect(speed("A16 16GB")).toBeUndefined();
});
