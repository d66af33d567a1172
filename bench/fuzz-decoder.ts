import { parseArgs } from 'node:util'
import { observerService } from '../src/hubble/proto.ts'
import { fuzzDecoder } from '../test/fixtures/decoder-fuzz.ts'
import { corpusMessages } from '../test/fixtures/flow-corpus.ts'

const { values } = parseArgs({
  options: {
    messages: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
  },
})
const definition = observerService()['GetFlows']
const seeds = [...corpusMessages(2_000)].map(
  (message) => definition?.responseSerialize(message) ?? Buffer.alloc(0),
)
const startedMs = performance.now()
const { differing, ...counts } = fuzzDecoder(seeds, Number(values.messages), Number(values.seed))
const seconds = Math.round((performance.now() - startedMs) / 100) / 10
process.stdout.write(`${JSON.stringify({ ...counts, differing, seconds })}\n`)
process.exitCode = differing.length > 0 ? 1 : 0
