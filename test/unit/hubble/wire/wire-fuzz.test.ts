import { expect, it } from 'vitest'
import { observerService } from '../../../../src/hubble/proto.ts'
import { fuzzDecoder } from '../../../fixtures/decoder-fuzz.ts'
import { corpusMessages } from '../../../fixtures/flow-corpus.ts'

it('WireView agrees with a decoder by the book on 20,000 messages with changed bytes', () => {
  const definition = observerService()['GetFlows']
  const seeds = [...corpusMessages(300, { seed: 3 })].map(
    (message) => definition?.responseSerialize(message) ?? Buffer.alloc(0),
  )
  const { messages, malformed, flows, differing } = fuzzDecoder(seeds, 20_000, 11)
  expect(differing).toEqual([])
  expect(messages).toBe(20_000)
  expect(flows).toBeGreaterThan(2_000)
  expect(malformed).toBeGreaterThan(5_000)
})
