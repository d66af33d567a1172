import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  encodedHeaders,
  HEADER_LIST_BYTES_MAX,
  type HeaderField,
  HpackDecoder,
} from '../../../../../src/hubble/transport/h2/hpack.ts'

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex')

const request = (...more: HeaderField[]): HeaderField[] => [
  [':method', 'GET'],
  [':scheme', 'http'],
  [':path', '/'],
  [':authority', 'www.example.com'],
  ...more,
]
const REQUESTS: readonly (readonly HeaderField[])[] = [
  request(),
  request(['cache-control', 'no-cache']),
  [
    [':method', 'GET'],
    [':scheme', 'https'],
    [':path', '/index.html'],
    [':authority', 'www.example.com'],
    ['custom-key', 'custom-value'],
  ],
]
const response = (status: string, second: number, ...more: HeaderField[]): HeaderField[] => [
  [':status', status],
  ['cache-control', 'private'],
  ['date', `Mon, 21 Oct 2013 20:13:${second} GMT`],
  ['location', 'https://www.example.com'],
  ...more,
]
const RESPONSES: readonly (readonly HeaderField[])[] = [
  response('302', 21),
  response('307', 21),
  response(
    '200',
    22,
    ['content-encoding', 'gzip'],
    ['set-cookie', 'foo=ASDJKHQKBZXOQWEOPIUAXQWEOIU; max-age=3600; version=1'],
  ),
]

/** RFC 7541, Appendix C. */
const EXAMPLES = [
  {
    why: 'C.2.1',
    tableBytes: 4_096,
    blocks: ['400a 6375 7374 6f6d 2d6b 6579 0d63 7573 746f 6d2d 6865 6164 6572'],
    lists: [[['custom-key', 'custom-header']]],
  },
  {
    why: 'C.2.2',
    tableBytes: 0,
    blocks: ['040c 2f73 616d 706c 652f 7061 7468'],
    lists: [[[':path', '/sample/path']]],
  },
  {
    why: 'C.2.3',
    tableBytes: 0,
    blocks: ['1008 7061 7373 776f 7264 0673 6563 7265 74'],
    lists: [[['password', 'secret']]],
  },
  { why: 'C.2.4', tableBytes: 0, blocks: ['82'], lists: [[[':method', 'GET']]] },
  {
    why: 'C.3',
    tableBytes: 4_096,
    blocks: [
      '8286 8441 0f77 7777 2e65 7861 6d70 6c65 2e63 6f6d',
      '8286 84be 5808 6e6f 2d63 6163 6865',
      '8287 85bf 400a 6375 7374 6f6d 2d6b 6579 0c63 7573 746f 6d2d 7661 6c75 65',
    ],
    lists: REQUESTS,
  },
  {
    why: 'C.4, with Huffman',
    tableBytes: 4_096,
    blocks: [
      '8286 8441 8cf1 e3c2 e5f2 3a6b a0ab 90f4 ff',
      '8286 84be 5886 a8eb 1064 9cbf',
      '8287 85bf 4088 25a8 49e9 5ba9 7d7f 8925 a849 e95b b8e8 b4bf',
    ],
    lists: REQUESTS,
  },
  {
    why: 'C.5, with evictions',
    tableBytes: 256,
    blocks: [
      `4803 3330 3258 0770 7269 7661 7465 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133
       2032 303a 3133 3a32 3120 474d 546e 1768 7474 7073 3a2f 2f77 7777 2e65 7861 6d70
       6c65 2e63 6f6d`,
      '4803 3330 37c1 c0bf',
      `88c1 611d 4d6f 6e2c 2032 3120 4f63 7420 3230 3133 2032 303a 3133 3a32 3220 474d
       54c0 5a04 677a 6970 7738 666f 6f3d 4153 444a 4b48 514b 425a 584f 5157 454f 5049
       5541 5851 5745 4f49 553b 206d 6178 2d61 6765 3d33 3630 303b 2076 6572 7369 6f6e
       3d31`,
    ],
    lists: RESPONSES,
  },
  {
    why: 'C.6, with evictions and Huffman',
    tableBytes: 256,
    blocks: [
      `4882 6402 5885 aec3 771a 4b61 96d0 7abe 9410 54d4 44a8 2005 9504 0b81 66e0 82a6
       2d1b ff6e 919d 29ad 1718 63c7 8f0b 97c8 e9ae 82ae 43d3`,
      '4883 640e ffc1 c0bf',
      `88c1 6196 d07a be94 1054 d444 a820 0595 040b 8166 e084 a62d 1bff c05a 839b d9ab
       77ad 94e7 821d d7f2 e6c7 b335 dfdf cd5b 3960 d5af 2708 7f36 72c1 ab27 0fb5 291f
       9587 3160 65c0 03ed 4ee5 b106 3d50 07`,
    ],
    lists: RESPONSES,
  },
]

describe('HpackDecoder', () => {
  it.each(EXAMPLES)('reads the example $why', ({ tableBytes, blocks, lists }) => {
    const decoder = new HpackDecoder(tableBytes)
    const read = blocks.map((block) => decoder.decode(hex(block))?.fields)
    expect(read).toEqual(lists)
  })

  it.each([
    { why: 'no field', block: '', fields: [] },
    { why: 'a table size of 0, twice', block: '20 20 82', fields: [[':method', 'GET']] },
    { why: 'an empty value', block: '00 01 61 00', fields: [['a', '']] },
    { why: 'a length with zeros in front', block: '00 01 61 7f 80 80 00' + '62'.repeat(127) },
    // The table has no room: it does not stay.
    { why: 'incremental indexing', block: '40 01 61 01 62', fields: [['a', 'b']] },
    { why: 'Huffman without padding', block: '00 01 61 85 00 00 00 00 00' },
  ])('reads $why without a table', ({ block, fields = [['a', expect.any(String)]] }) => {
    const decoder = new HpackDecoder(0)
    expect(decoder.decode(hex(block))?.fields).toEqual(fields)
    expect(decoder.decode(hex('be'))).toBeUndefined()
  })

  it.each([
    { why: 'the index 0', block: '80' },
    { why: 'an index beyond the tables', block: 'be' },
    { why: 'a name of an index beyond the tables', block: '7e 01 61' },
    { why: 'an index that does not end', block: 'ff ff ff' },
    { why: 'an index of many bytes', block: 'ff ff ff ff ff ff ff ff ff ff 01' },
    { why: 'an index of many zeros', block: `ff${'80'.repeat(30)}00` },
    { why: 'a name longer than the block', block: '00 05 61' },
    { why: 'no name', block: '00' },
    { why: 'no value', block: '00 01 61' },
    { why: 'a value longer than the block', block: '00 01 61 7f ff ff ff 7f 61' },
    { why: 'a length of very many zeros', block: `00 01 61 7f${'80'.repeat(300)}00` },
    { why: 'a table size above the setting', block: '21' },
    { why: 'a table size after a field', block: '82 20' },
    { why: 'Huffman with a padding of zeros', block: '00 01 61 81 18' },
    { why: 'Huffman with a padding of 8 bits', block: '00 01 61 82 1f ff' },
    { why: 'Huffman with EOS', block: '00 01 61 84 ff ff ff ff' },
    { why: 'Huffman that ends inside a code', block: '00 01 61 81 fe' },
  ])('refuses $why, and whatever comes after it', ({ block }) => {
    const decoder = new HpackDecoder(0)
    expect(decoder.decode(hex(block))).toBeUndefined()
    expect(decoder.decode(hex('82'))).toBeUndefined()
  })

  it('keeps no more of a list than its limit, and tells that there was more', () => {
    const field: HeaderField = ['x', 'y'.repeat(967)]
    const decoder = new HpackDecoder(0)
    const fits = encodedHeaders(Array.from({ length: 16 }, () => field))
    expect(decoder.decode(fits)).toMatchObject({ isTooLarge: false, fields: { length: 16 } })
    // One byte names a field of 42: a block of 16 KiB would say 700 KB.
    const bomb = Buffer.alloc(HEADER_LIST_BYTES_MAX, 0x82)
    const list = decoder.decode(bomb)
    expect(list?.isTooLarge).toBe(true)
    expect(list?.fields.length).toBe(Math.floor(HEADER_LIST_BYTES_MAX / 42))
  })

  it('reads what encodedHeaders() wrote', () => {
    const text = fc.string({
      unit: fc.integer({ min: 0, max: 255 }).map((c) => String.fromCharCode(c)),
    })
    const long = fc.integer({ min: 100, max: 20_000 }).map((length) => 'v'.repeat(length))
    const fields = fc.array(fc.tuple(text, fc.oneof(text, long)), { maxLength: 8 })
    const property = fc.property(fields, (sent) => {
      const list = new HpackDecoder(0).decode(encodedHeaders(sent))
      expect(list?.fields).toEqual(sent.slice(0, list?.fields.length))
      expect(list?.isTooLarge).toBe(list?.fields.length !== sent.length)
    })
    fc.assert(property)
  })

  it('takes any bytes, and throws for none', () => {
    const property = fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(512), (bytes, limit) => {
      const decoder = new HpackDecoder(limit)
      for (let i = 0; i < 2; i++) decoder.decode(Buffer.from(bytes))
    })
    fc.assert(property, { numRuns: 2_000 })
  })
})
