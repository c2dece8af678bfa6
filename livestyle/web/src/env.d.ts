declare module "virtual:model-files" {
  /** SHA-256 in hexadecimal of the model's files, and of onnxruntime's WebAssembly. */
  const files: Record<import("./networks").ModelFile | "wasm" | "gpuWasm", string>;
  export default files;
}
declare module "onnxruntime-web/*.wasm?url" {
  const url: string;
  export default url;
}
