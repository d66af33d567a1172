/**
 * How many bits the code of each octet has, in base 36. The code is canonical: codes of one length
 * follow each other in the order of their octets, so the lengths are all there is to know.
 * Source: RFC 7541, Appendix B.
 */
const CODE_LENGTHS =
  'dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6ca' +
  'd67777777777777777777777878djde6f56565666577666567655677777fbeds' +
  'kmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmn' +
  'qqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrq'
const LENGTH_MAX = 30
/** The shortest run of ones that is no padding (RFC 7541 5.2); no code of up to 7 bits is all ones. */
const PADDING_END = 8

/** By length: the first code, how many there are, and where their octets begin in `OCTETS`. */
const FIRST = new Uint32Array(LENGTH_MAX + 1)
const COUNT = new Uint32Array(LENGTH_MAX + 1)
const OFFSET = new Uint32Array(LENGTH_MAX + 1)
const OCTETS = Array.from(CODE_LENGTHS, (digit, octet) => ({
  octet,
  length: Number.parseInt(digit, 36),
}))
  .toSorted((a, b) => a.length - b.length || a.octet - b.octet)
  .map(({ octet, length }) => {
    COUNT[length] = (COUNT[length] ?? 0) + 1
    return octet
  })
for (let length = 1, code = 0, offset = 0; length <= LENGTH_MAX; length++) {
  code *= 2
  FIRST[length] = code
  OFFSET[length] = offset
  code += COUNT[length] ?? 0
  offset += COUNT[length] ?? 0
}

/**
 * Decodes `bytes[start, end)`; undefined where it is no such code: an end inside a code, a padding
 * of 8 bits or of others than ones, the code EOS. Never longer than 8/5 of its input.
 */
export function huffmanDecoded(bytes: Buffer, start: number, end: number): Buffer | undefined {
  const decoded = Buffer.allocUnsafe(Math.floor(((end - start) * 8) / 5))
  let size = 0
  let code = 0
  let length = 0
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0
    for (let bit = 7; bit >= 0; bit--) {
      code = code * 2 + ((byte >> bit) & 1)
      length++
      const index = code - (FIRST[length] ?? 0)
      // EOS is none of these: its 30 ones and whatever follows are one code that does not end.
      if (index < (COUNT[length] ?? 0)) {
        decoded[size++] = OCTETS[(OFFSET[length] ?? 0) + index] ?? 0
        code = 0
        length = 0
      }
    }
  }
  const isPadding = length < PADDING_END && code === 2 ** length - 1
  return isPadding ? decoded.subarray(0, size) : undefined
}
