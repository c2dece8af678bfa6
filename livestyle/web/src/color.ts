/** Colours of the content in a style picture, the same as `match_colors` of livestyle/render/color.py (CORAL). */

const NOISE = 5;
const SAMPLES = 256;

type Matrix = [number[], number[], number[]];

/** RGBA bytes of a picture. */
export interface Picture {
  data: Uint8ClampedArray<ArrayBuffer>;
  width: number;
  height: number;
}

/** A style picture with the mean and the covariance of a content's colours. */
export function matchColors(style: Picture, content: Picture): Picture {
  const own = momentsOf(style);
  const wanted = momentsOf(content);
  const whitened = own.covariance.map((row, i) => row.map((value, j) => value + (i === j ? NOISE ** 2 : 0))) as Matrix;
  const transform = product(power(wanted.covariance, 0.5), power(whitened, -0.5));
  const shift = transform.map((row, i) => wanted.mean[i] - row.reduce((sum, value, j) => sum + value * own.mean[j], 0));
  const data = new Uint8ClampedArray(style.data.length);
  for (let at = 0; at < data.length; at += 4) {
    const [r, g, b] = [style.data[at], style.data[at + 1], style.data[at + 2]];
    for (let c = 0; c < 3; c++) {
      const row = transform[c];
      data[at + c] = row[0] * r + row[1] * g + row[2] * b + shift[c];
    }
    data[at + 3] = 255;
  }
  return { data, width: style.width, height: style.height };
}

/** Mean and covariance of the colours of a picture, of some of the pixels of a large one. */
function momentsOf({ data, width, height }: Picture): { mean: number[]; covariance: Matrix } {
  const [rows, columns] = [height, width].map((side) => Math.max(1, Math.floor(side / SAMPLES)));
  const sums = [0, 0, 0];
  const products: Matrix = [[0, 0, 0], [0, 0, 0], [0, 0, 0]];
  let count = 0;
  for (let y = 0; y < height; y += rows) {
    for (let x = 0; x < width; x += columns, count++) {
      const at = 4 * (y * width + x);
      for (let i = 0; i < 3; i++) {
        sums[i] += data[at + i];
        for (let j = 0; j < 3; j++) products[i][j] += data[at + i] * data[at + j];
      }
    }
  }
  const mean = sums.map((sum) => sum / count);
  const covariance = products.map((row, i) => row.map((sum, j) => sum / count - mean[i] * mean[j])) as Matrix;
  return { mean, covariance };
}

function product(a: Matrix, b: Matrix): Matrix {
  return a.map((row) => [0, 1, 2].map((j) => row.reduce((sum, value, k) => sum + value * b[k][j], 0))) as Matrix;
}

/** Power of a positive semidefinite matrix by its eigenvalues, which Jacobi's rotations find. */
function power(symmetric: Matrix, exponent: number): Matrix {
  const a = symmetric.map((row) => [...row]) as Matrix;
  const vectors: Matrix = [[1, 0, 0], [0, 1, 0], [0, 0, 1]];
  for (let sweep = 0; sweep < 30; sweep++) {
    for (const [p, q] of [[0, 1], [0, 2], [1, 2]]) {
      if (Math.abs(a[p][q]) < 1e-12) continue;
      const theta = (a[q][q] - a[p][p]) / (2 * a[p][q]);
      const tangent = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
      const cosine = 1 / Math.hypot(tangent, 1);
      const sine = tangent * cosine;
      for (let k = 0; k < 3; k++) [a[k][p], a[k][q]] = [cosine * a[k][p] - sine * a[k][q], sine * a[k][p] + cosine * a[k][q]];
      for (let k = 0; k < 3; k++) [a[p][k], a[q][k]] = [cosine * a[p][k] - sine * a[q][k], sine * a[p][k] + cosine * a[q][k]];
      for (let k = 0; k < 3; k++) {
        const [u, v] = [vectors[k][p], vectors[k][q]];
        [vectors[k][p], vectors[k][q]] = [cosine * u - sine * v, sine * u + cosine * v];
      }
    }
  }
  const powers = [0, 1, 2].map((i) => Math.max(a[i][i], 0) ** exponent);
  return [0, 1, 2].map((i) =>
    [0, 1, 2].map((j) => powers.reduce((sum, value, k) => sum + vectors[i][k] * value * vectors[j][k], 0)),
  ) as Matrix;
}
