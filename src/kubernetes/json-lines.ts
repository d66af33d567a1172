const NEWLINE = 0x0a

/**
 * Cuts a stream of bytes into lines, as a watch sends them: one JSON document each.
 * Holds at most one line of `lineBytesMax`.
 * @throws {RangeError} for a longer line; a rest without a newline is left: its end was cut off.
 */
export async function* linesOf(
  chunks: AsyncIterable<Buffer>,
  lineBytesMax: number,
): AsyncGenerator<string> {
  let held: Buffer[] = []
  let heldBytes = 0
  for await (const chunk of chunks) {
    let from = 0
    for (let end = chunk.indexOf(NEWLINE); end >= 0; end = chunk.indexOf(NEWLINE, from)) {
      const line = chunk.subarray(from, end)
      from = end + 1
      const whole = held.length === 0 ? line : Buffer.concat([...held, line])
      held = []
      heldBytes = 0
      if (whole.length > 0) yield whole.toString('utf8')
    }
    if (from === chunk.length) continue
    heldBytes += chunk.length - from
    if (heldBytes > lineBytesMax)
      throw new RangeError(`a line is longer than ${lineBytesMax} bytes`)
    held.push(chunk.subarray(from))
  }
}
