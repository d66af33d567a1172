/** Of the address that was parsed last, most significant first; an IPv4 address is in the first. */
const parsed = new Uint32Array(4)

const ZERO = 48
const NINE = 57
const DOT = 46
const COLON = 58

/** Addresses with a common beginning. Immutable. */
export interface IpNetwork {
  readonly family: 4 | 6
  /** Length of the beginning, in bits. */
  readonly bits: number
  /** The beginning, most significant word first; what is behind it is 0. */
  readonly words: readonly number[]
}

/**
 * The network of `10.0.0.0/8` or `fd00::/8`; bits behind the mask are passed over. Undefined for
 * everything else, bare addresses and zones among it. Source: `net/netip` of Go, `ParsePrefix`.
 */
export function parseNetwork(text: string): IpNetwork | undefined {
  const slash = text.lastIndexOf('/')
  const length = text.slice(slash + 1)
  if (slash < 0 || !/^(?:0|[1-9]\d{0,2})$/.test(length)) return undefined
  const family = parseAddress(text.slice(0, slash))
  const bits = Number(length)
  if (family === 0 || bits > (family === 4 ? 32 : 128)) return undefined
  return { family, bits, words: Array.from(parsed, (word, i) => (word & maskOf(bits, i)) >>> 0) }
}

/**
 * Whether one of `networks` has the address; text that is no address is in none. An IPv4 address
 * that is mapped into IPv6 is an IPv6 address, as in Hubble. Nothing is allocated.
 */
export function isInNetworks(networks: readonly IpNetwork[], address: string): boolean {
  const family = parseAddress(address)
  if (family === 0) return false
  for (const network of networks) {
    if (network.family === family && hasParsed(network)) return true
  }
  return false
}

/** Whether each address of `inner` is one of `outer`. */
export function containsNetwork(outer: IpNetwork, inner: IpNetwork): boolean {
  if (outer.family !== inner.family || outer.bits > inner.bits) return false
  return outer.words.every(
    (word, i) => ((inner.words[i] ?? 0) & maskOf(outer.bits, i)) >>> 0 === word,
  )
}

function hasParsed({ bits, words }: IpNetwork): boolean {
  for (let i = 0; i * 32 < bits; i++) {
    if (((parsed[i] ?? 0) & maskOf(bits, i)) >>> 0 !== words[i]) return false
  }
  return true
}

/** Of word `i` the bits that belong to the first `bits` of an address. */
function maskOf(bits: number, i: number): number {
  const kept = bits - i * 32
  if (kept <= 0) return 0
  return kept >= 32 ? 0xffff_ffff : ~(0xffff_ffff >>> kept)
}

/** Fills `parsed`; 0 for what is no address. */
function parseAddress(text: string): 0 | 4 | 6 {
  if (text.length > 45) return 0
  parsed.fill(0)
  if (!text.includes(':')) {
    const word = parseIPv4(text, 0)
    if (word < 0) return 0
    parsed[0] = word
    return 4
  }
  return parseIPv6(text) ? 6 : 0
}

/** The dotted address from `from` to the end of `text`; -1 where there is none. */
function parseIPv4(text: string, from: number): number {
  let word = 0
  let octets = 0
  for (let at = from; octets < 4; octets++) {
    if (octets > 0 && text.charCodeAt(at++) !== DOT) return -1
    const start = at
    let octet = 0
    for (; isDigit(text.charCodeAt(at)) && at - start < 3; at++) {
      octet = octet * 10 + text.charCodeAt(at) - ZERO
    }
    const isPadded = at - start > 1 && text.charCodeAt(start) === ZERO
    if (at === start || octet > 255 || isPadded) return -1
    word = word * 256 + octet
    if (octets === 3 && at !== text.length) return -1
  }
  return word
}

function parseIPv6(text: string): boolean {
  let group = 0
  let gap = -1
  let at = 0
  if (text.startsWith('::')) {
    gap = 0
    at = 2
  }
  while (at < text.length) {
    if (group === 8) return false
    const start = at
    let value = 0
    for (let digit = hexOf(text.charCodeAt(at)); digit >= 0 && at - start < 4; ) {
      value = value * 16 + digit
      digit = hexOf(text.charCodeAt(++at))
    }
    if (at === start) return false
    if (text.charCodeAt(at) === DOT) {
      const word = parseIPv4(text, start)
      if (word < 0 || group > 6) return false
      setGroup(group++, word >>> 16)
      setGroup(group++, word & 0xffff)
      break
    }
    setGroup(group++, value)
    if (at === text.length) break
    if (text.charCodeAt(at) !== COLON || ++at === text.length) return false
    if (text.charCodeAt(at) !== COLON) continue
    if (gap >= 0) return false
    gap = group
    at++
  }
  return gap < 0 ? group === 8 : group < 8 && spread(gap, group)
}

/** Moves the groups behind the `::` to the end of the address. */
function spread(gap: number, groups: number): true {
  for (let from = groups - 1, to = 7; from >= gap; from--, to--) {
    const value = groupAt(from)
    setGroup(from, 0)
    setGroup(to, value)
  }
  return true
}

function groupAt(i: number): number {
  const word = parsed[i >> 1] ?? 0
  return (i & 1) === 0 ? word >>> 16 : word & 0xffff
}

function setGroup(i: number, value: number): void {
  const word = parsed[i >> 1] ?? 0
  parsed[i >> 1] = (i & 1) === 0 ? (word & 0xffff) | (value << 16) : (word & 0xffff_0000) | value
}

function isDigit(code: number): boolean {
  return code >= ZERO && code <= NINE
}

/** Value of a hexadecimal digit; -1 for anything else, the end of the text among it. */
function hexOf(code: number): number {
  if (isDigit(code)) return code - ZERO
  const letter = code | 32
  return letter >= 97 && letter <= 102 ? letter - 87 : -1
}
