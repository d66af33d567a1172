/** The bytes in pieces, cut at these offsets. */
export function cutAt(bytes: Buffer, offsets: readonly number[]): Buffer[] {
  const inside = offsets.filter((offset) => offset < bytes.length).sort((a, b) => a - b)
  return [0, ...inside].map((from, i) => bytes.subarray(from, inside[i] ?? bytes.length))
}
