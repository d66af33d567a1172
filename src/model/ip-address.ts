import { isIPv4, isIPv6 } from 'node:net'

const MAPPED = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/

/**
 * The address as Envoy writes it into a descriptor: dotted IPv4, or compressed lower-case IPv6. A
 * mapped `::ffff:a.b.c.d` is its IPv4. Undefined for everything else: names, ports, zones, masks.
 */
export function canonicalAddress(text: string): string | undefined {
  if (isIPv4(text)) return text
  if (!isIPv6(text) || text.includes('%')) return undefined
  const compressed = new URL(`http://[${text}]/`).hostname.slice(1, -1)
  const mapped = MAPPED.exec(compressed)
  if (mapped === null) return compressed
  const high = Number.parseInt(mapped[1] ?? '', 16)
  const low = Number.parseInt(mapped[2] ?? '', 16)
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`
}
