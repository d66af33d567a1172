import { open } from 'node:fs/promises'
import { addAbortSignal, pipeline, type Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { SourceError } from '../../errors.ts'

const LINE_MAX_BYTES = 4 * 1_024 * 1_024
const GZIP_MAGIC = [0x1f, 0x8b]

/** What a capture's bytes become: text of one line, or why there is none. */
export type CaptureLine =
  | { readonly text: string }
  | { readonly rejected: 'too_large' | 'malformed' }

/**
 * Opens a capture; `-` is `stdin`. An abort of `signal` ends whoever waits for its next bytes.
 *
 * @throws {SourceError} when it cannot be opened.
 */
export async function openCapture(
  path: string,
  stdin: Readable | undefined,
  signal: AbortSignal,
): Promise<Readable> {
  if (path === '-') {
    if (stdin === undefined) {
      throw new SourceError('Cannot read the capture: there is no standard input')
    }
    return addAbortSignal(signal, stdin)
  }
  try {
    return addAbortSignal(signal, (await open(path)).createReadStream())
  } catch (cause) {
    throw new SourceError(`Cannot read the capture ${path}`, { cause })
  }
}

/**
 * Reads a capture line by line, gzipped or not (told by its first bytes), in batches of what one read
 * brought. A line above 4 MiB is `too_large`; an archive that breaks off gives what it had, then one
 * `malformed`. After an abort of the input it just ends.
 *
 * @throws {SourceError} when the input cannot be read.
 */
export async function* readCapture(input: Readable, path: string): AsyncGenerator<CaptureLine[]> {
  const splitter = new LineSplitter()
  try {
    for await (const chunk of inflated(input)) {
      const lines = splitter.push(chunk)
      if (lines.length > 0) yield lines
    }
  } catch (cause) {
    if (cause instanceof Error && cause.name === 'AbortError') return
    if (!isBrokenArchive(cause)) throw new SourceError(`Cannot read the capture ${path}`, { cause })
    yield [{ rejected: 'malformed' }]
    return
  }
  const rest = splitter.end()
  if (rest.length > 0) yield rest
}

async function* inflated(input: Readable): AsyncGenerator<Buffer> {
  const chunks = input[Symbol.asyncIterator]() as AsyncIterator<Buffer>
  let head = Buffer.alloc(0)
  while (head.length < GZIP_MAGIC.length) {
    const { value, done } = await chunks.next()
    if (done === true) break
    head = Buffer.concat([head, value])
  }
  const whole = async function* () {
    if (head.length > 0) yield head
    for (let next = await chunks.next(); next.done !== true; next = await chunks.next()) {
      yield next.value
    }
  }
  if (head[0] !== GZIP_MAGIC[0] || head[1] !== GZIP_MAGIC[1]) {
    yield* whole()
    return
  }
  // What fails on either side of the pipe comes out of the stream that is read.
  const gunzip = pipeline(whole, createGunzip(), () => {})
  for await (const chunk of gunzip) yield chunk as Buffer
}

function isBrokenArchive(error: unknown): boolean {
  const code = (error as { code?: unknown }).code
  return typeof code === 'string' && code.startsWith('Z_')
}

class LineSplitter {
  #parts: Buffer[] = []
  #size = 0
  #skipping = false

  push(chunk: Buffer): CaptureLine[] {
    const lines: CaptureLine[] = []
    let start = 0
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      this.#keep(chunk.subarray(start, end), lines)
      this.#close(lines)
      start = end + 1
    }
    this.#keep(chunk.subarray(start), lines)
    return lines
  }

  end(): CaptureLine[] {
    const lines: CaptureLine[] = []
    this.#close(lines)
    return lines
  }

  #keep(part: Buffer, lines: CaptureLine[]): void {
    if (this.#skipping) return
    this.#size += part.length
    if (this.#size > LINE_MAX_BYTES) {
      this.#skipping = true
      this.#parts = []
      lines.push({ rejected: 'too_large' })
    } else if (part.length > 0) this.#parts.push(part)
  }

  #close(lines: CaptureLine[]): void {
    const [only] = this.#parts
    const bytes = this.#parts.length === 1 && only !== undefined ? only : Buffer.concat(this.#parts)
    const text = bytes.toString('utf8').trim()
    if (text !== '') lines.push({ text })
    this.#parts = []
    this.#size = 0
    this.#skipping = false
  }
}
