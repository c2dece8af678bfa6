/** The model's networks in onnxruntime-web: verified files, sessions, the constant form. */

import type { InferenceSession, Tensor, TensorConstructor } from "onnxruntime-common";

import { withExternalTensors } from "./onnx";
import type { ConstantForm } from "./rest";
import type { Frame } from "./stabilizer";

/** What is used of onnxruntime-web. */
export interface Runtime {
  InferenceSession: { create(model: Uint8Array, options?: InferenceSession.SessionOptions): Promise<InferenceSession> };
  Tensor: TensorConstructor;
}

export type ModelFile = "stylize.onnx" | "stylize.int8.onnx" | "stylize.int8.constant.onnx" | "style.onnx";
export type Kind = "int8" | "float32";
export type Read = (file: ModelFile) => Promise<Uint8Array<ArrayBuffer>>;

export interface Painted {
  pixels: Uint8Array<ArrayBuffer>;
  nextValues: Float32Array<ArrayBuffer>;
}

/** One stylizing network. */
export class StylizeNetwork {
  /** Whether this is the 8-bit network, which estimates statistics from a sample of the pixels. */
  readonly samples: boolean;

  private constructor(
    private readonly runtime: Runtime,
    private readonly session: InferenceSession,
    private readonly constantFile: Uint8Array | null,
  ) {
    this.samples = constantFile !== null;
  }

  static async open(runtime: Runtime, read: Read, kind: Kind, provider = "wasm"): Promise<StylizeNetwork> {
    // Warnings that some shape arithmetic is not on the GPU, which it should not be, are errors to a browser's console.
    const options = { executionProviders: [provider], logSeverityLevel: 3 as const };
    if (kind === "float32") {
      return new StylizeNetwork(runtime, await runtime.InferenceSession.create(await read("stylize.onnx"), options), null);
    }
    const [computed, constant] = await Promise.all([read("stylize.int8.onnx"), read("stylize.int8.constant.onnx")]);
    return new StylizeNetwork(runtime, await runtime.InferenceSession.create(computed, options), constant);
  }

  private feeds(frame: Frame, stats: Float32Array, strength: number, values: Float32Array, momentum: number) {
    const { Tensor } = this.runtime;
    return {
      frames: new Tensor("uint8", frame.pixels, [1, frame.height, frame.width, 3]),
      stats: new Tensor("float32", stats, [stats.length]),
      strength: new Tensor("float32", Float32Array.of(strength), []),
      content_state: new Tensor("float32", values, [values.length]),
      momentum: new Tensor("float32", Float32Array.of(momentum), []),
    };
  }

  async run(
    frame: Frame, stats: Float32Array, strength: number, values: Float32Array, momentum: number,
  ): Promise<Painted> {
    const feeds = this.feeds(frame, stats, strength, values, momentum);
    return painted(await this.session.run(feeds, ["stylized", "next_content_state"]));
  }

  /** As `run`, and the constant form with the weights, biases and scales of this frame. */
  async runForConstants(
    frame: Frame, stats: Float32Array, strength: number, values: Float32Array, momentum: number,
  ): Promise<Painted & { form: ConstantForm }> {
    const { InferenceSession, Tensor } = this.runtime;
    const found = await this.session.run(this.feeds(frame, stats, strength, values, momentum));
    const model = withExternalTensors(this.constantFile!, ({ name }) => {
      const { buffer, byteOffset, byteLength } = found[name].data as Int32Array;
      return new Uint8Array(buffer, byteOffset, byteLength);
    });
    const { width, height } = frame;
    const session = await InferenceSession.create(model, {
      executionProviders: ["wasm"],
      freeDimensionOverrides: { H: height, W: width },
    });
    const form = {
      async paint(pixels: Uint8Array<ArrayBuffer>) {
        const results = await session.run({ frames: new Tensor("uint8", pixels, [1, height, width, 3]) });
        return results.stylized.data as Uint8Array<ArrayBuffer>;
      },
      release: () => void session.release(),
    };
    return { ...painted(found), form };
  }
}

function painted(results: InferenceSession.OnnxValueMapType): Painted {
  return {
    pixels: results.stylized.data as Uint8Array<ArrayBuffer>,
    nextValues: results.next_content_state.data as Float32Array<ArrayBuffer>,
  };
}

/** Style statistics of pictures. */
export class StyleEncoder {
  private constructor(
    private readonly runtime: Runtime,
    private readonly session: InferenceSession,
  ) {}

  static async open(runtime: Runtime, read: Read): Promise<StyleEncoder> {
    const options = { executionProviders: ["wasm"] };
    return new StyleEncoder(runtime, await runtime.InferenceSession.create(await read("style.onnx"), options));
  }

  /** Statistics of a picture that has the size of `styleSize`. */
  async encode({ pixels, width, height }: Frame): Promise<Float32Array<ArrayBuffer>> {
    const image: Tensor = new this.runtime.Tensor("uint8", pixels, [height, width, 3]);
    return (await this.session.run({ image })).stats.data as Float32Array<ArrayBuffer>;
  }
}

/** The float32 network on the GPU. */
export class Gpu {
  private fail: (error: Error) => void = () => undefined;

  constructor(private readonly network: StylizeNetwork) {}

  /** End the run that is under way: on a device that is lost it may never end. */
  lose(): void {
    this.fail(new Error("the GPU is lost"));
  }

  run(...given: Parameters<StylizeNetwork["run"]>): Promise<Painted> {
    // No Promise.race with the loss: all frames would be kept until it comes.
    return new Promise((resolve, reject) => {
      this.fail = reject;
      this.network.run(...given).then(resolve, reject);
    });
  }
}

/** The networks, each opened when it is first asked for. */
export class Networks {
  /** The float32 network on the GPU, where it has been found to paint the same, and faster. */
  gpu: Gpu | null = null;
  private readonly opened: Partial<Record<Kind, Promise<StylizeNetwork>>> = {};

  constructor(
    private readonly runtime: Runtime,
    private readonly read: Read,
  ) {}

  get(kind: Kind): Promise<StylizeNetwork> {
    const opening = (this.opened[kind] ??= StylizeNetwork.open(this.runtime, this.read, kind));
    // What failed is tried again, for a connection may come back.
    opening.catch(() => delete this.opened[kind]);
    return opening;
  }
}
