/**
 * ONNX files as protobuf messages, as far as writing the values of external tensors into the file needs it.
 *
 * Field numbers are those of onnx.proto: ModelProto.graph 7, GraphProto.initializer 5, and of TensorProto name 8,
 * raw_data 9, external_data 13 (entries of key 1 and value 2) and data_location 14.
 */

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const FIXED32 = 5;

const GRAPH = 7;
const INITIALIZER = 5;
const NAME = 8;
const RAW_DATA = 9;
const EXTERNAL_DATA = 13;
const DATA_LOCATION = 14;

interface Field {
  number: number;
  /** The content of a string, of bytes or of a message; null for numbers. */
  payload: Uint8Array | null;
  /** The whole field with its tag. */
  raw: Uint8Array;
}

/** Where a tensor's values lie: its name, and the entries of its external data such as `offset` and `length`. */
export interface ExternalTensor {
  name: string;
  entries: Record<string, string>;
}

function readVarint(bytes: Uint8Array, at: number): [value: number, next: number] {
  let value = 0;
  for (let factor = 1; ; factor *= 128) {
    const byte = bytes[at++];
    if (byte === undefined) throw new Error("the model file is cut off");
    // No bit operations: they are of 32 bits.
    value += (byte & 127) * factor;
    if (byte < 128) return [value, at];
  }
}

function varint(value: number): Uint8Array {
  const bytes = [];
  for (; value >= 128; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Uint8Array.from([...bytes, value]);
}

function* fieldsOf(message: Uint8Array): Generator<Field> {
  for (let at = 0; at < message.length; ) {
    const begin = at;
    let tag: number;
    [tag, at] = readVarint(message, at);
    let payload: Uint8Array | null = null;
    switch (tag & 7) {
      case BYTES: {
        let length: number;
        [length, at] = readVarint(message, at);
        payload = message.subarray(at, at + length);
        at += length;
        break;
      }
      case VARINT:
        [, at] = readVarint(message, at);
        break;
      case FIXED64:
        at += 8;
        break;
      case FIXED32:
        at += 4;
        break;
      default:
        throw new Error("the model file is damaged");
    }
    yield { number: tag >>> 3, payload, raw: message.subarray(begin, at) };
  }
}

function joined(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function bytesField(number: number, payload: Uint8Array): Uint8Array {
  return joined([varint((number << 3) | BYTES), varint(payload.length), payload]);
}

/** A message in which each field of a number is changed. */
function changed(message: Uint8Array, number: number, change: (payload: Uint8Array) => Uint8Array) {
  const parts = [];
  for (const field of fieldsOf(message)) {
    parts.push(field.number === number && field.payload ? bytesField(number, change(field.payload)) : field.raw);
  }
  return joined(parts);
}

function withValues(tensor: Uint8Array, valuesOf: (tensor: ExternalTensor) => Uint8Array): Uint8Array {
  const text = new TextDecoder();
  const found: ExternalTensor = { name: "", entries: {} };
  const kept = [];
  let external = false;
  for (const { number, payload, raw } of fieldsOf(tensor)) {
    if (number === EXTERNAL_DATA && payload) {
      const [key, value] = [...fieldsOf(payload)].map((entry) => text.decode(entry.payload ?? undefined));
      found.entries[key] = value ?? "";
    } else if (number === DATA_LOCATION) external = true;
    else {
      if (number === NAME && payload) found.name = text.decode(payload);
      kept.push(raw);
    }
  }
  return external ? joined([...kept, bytesField(RAW_DATA, valuesOf(found))]) : tensor;
}

/**
 * A model with its external tensors written into it.
 *
 * @param model - an ONNX file.
 * @param valuesOf - the bytes of a tensor, little-endian, as ONNX's `raw_data` has them.
 */
export function withExternalTensors(
  model: Uint8Array,
  valuesOf: (tensor: ExternalTensor) => Uint8Array,
): Uint8Array<ArrayBuffer> {
  return changed(model, GRAPH, (graph) => changed(graph, INITIALIZER, (tensor) => withValues(tensor, valuesOf)));
}
