const QUOTE = 0x22
const BACKSLASH = 0x5c
const COMMA = 0x2c
const OPEN_ARRAY = 0x5b
const CLOSE_ARRAY = 0x5d
const OPEN_OBJECT = 0x7b
const CLOSE_OBJECT = 0x7d

/** Depth of the list's own fields, and of what stands in its `items`. */
const FIELD_DEPTH = 1
const ITEM_DEPTH = 2

/**
 * Takes a `List` of the Kubernetes API apart while it comes, so that no page of any size is parsed
 * in one go: each element of its one top-level array is handed out as soon as it is whole.
 *
 * Looks at brackets and strings only; what is no JSON fails in the parser, or at the end.
 * Holds one element of at most `itemBytesMax`, and the list without its elements, at most as much.
 */
export class ListSplitter {
  readonly #itemBytesMax: number
  readonly #onItem: (text: string) => void
  #item: Buffer[] = []
  #itemBytes = 0
  #frame = ''
  #depth = 0
  #isInItems = false
  #isInString = false
  #isEscaped = false

  constructor(itemBytesMax: number, onItem: (text: string) => void) {
    this.#itemBytesMax = itemBytesMax
    this.#onItem = onItem
  }

  /** @throws {RangeError} for a longer element, or a longer list around them. */
  push(chunk: Buffer): void {
    let from = 0
    for (let at = 0; at < chunk.length; at++) {
      const byte = chunk[at]
      if (this.#isInString) {
        if (this.#isEscaped) this.#isEscaped = false
        else if (byte === BACKSLASH) this.#isEscaped = true
        else if (byte === QUOTE) this.#isInString = false
      } else if (byte === QUOTE) {
        this.#isInString = true
      } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
        this.#depth++
        if (this.#depth === FIELD_DEPTH + 1 && byte === OPEN_ARRAY) {
          this.#keep(chunk.subarray(from, at + 1))
          from = at + 1
          this.#isInItems = true
        }
      } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
        this.#depth--
        if (this.#isInItems && this.#depth === FIELD_DEPTH) {
          this.#keep(chunk.subarray(from, at))
          this.#endItem()
          this.#isInItems = false
          from = at
        }
      } else if (byte === COMMA && this.#isInItems && this.#depth === ITEM_DEPTH) {
        this.#keep(chunk.subarray(from, at))
        this.#endItem()
        from = at + 1
      }
    }
    this.#keep(chunk.subarray(from))
  }

  /** The list with its array left empty. @throws {SyntaxError} where it is not whole. */
  end(): unknown {
    return JSON.parse(this.#frame)
  }

  #keep(part: Buffer): void {
    if (part.length === 0) return
    // Bytes of one character may be in two chunks, so elements are decoded when they are whole.
    if (this.#isInItems) {
      this.#item.push(part)
      this.#itemBytes += part.length
    } else {
      this.#frame += part.toString('latin1')
    }
    if (Math.max(this.#itemBytes, this.#frame.length) > this.#itemBytesMax) {
      throw new RangeError(`a part of the list is longer than ${this.#itemBytesMax} bytes`)
    }
  }

  #endItem(): void {
    const text = Buffer.concat(this.#item).toString('utf8')
    this.#item = []
    this.#itemBytes = 0
    if (text.trim() !== '') this.#onItem(text)
  }
}
