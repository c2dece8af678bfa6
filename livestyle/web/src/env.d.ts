declare module "virtual:model-files" {
  type Name = import("./networks").ModelFile | "wasm" | "gpuWasm";
  /** SHA-256 in hexadecimal of the model's files, and of onnxruntime's WebAssembly. */
  const files: Record<Name, string>;
  export default files;
  /** Their sizes in bytes. */
  export const sizes: Record<Name, number>;
}
declare module "onnxruntime-web/*.wasm?url" {
  const url: string;
  export default url;
}
