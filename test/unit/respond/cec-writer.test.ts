import { expect, it } from 'vitest'
import { EnforceError } from '../../../src/errors.ts'
import type { CecTarget } from '../../../src/respond/cec-target.ts'
import { createResponder } from '../../../src/respond/responder.ts'
import { factsOf, findingOf, START_MS, serviceObject, TARGET } from './samples.ts'

/** A responder whose writes are answered as `answer` says; it moves on second by second. */
function world() {
  const writes: { readonly text: string; readonly undo: boolean | undefined }[] = []
  const errors: EnforceError[] = []
  const now = { facts: {}, error: undefined as Error | undefined, ms: START_MS }
  const target: CecTarget = {
    list: async () => [],
    async write(cec, how) {
      const text = JSON.stringify(cec)
      if (now.error !== undefined && text.includes('typed_per_filter_config')) throw now.error
      writes.push({ text, undo: how?.undo })
    },
  }
  const responder = createResponder({
    mode: 'shadow',
    target,
    targetsOf: () => [TARGET],
    factsOf: () => factsOf(now.facts),
    armMs: 1_000,
    minWriteIntervalMs: 0,
    onError: (error) => errors.push(error),
  })
  return {
    responder,
    writes,
    errors,
    now,
    async pass(seconds: number): Promise<void> {
      for (let i = 0; i < seconds; i++) {
        now.ms += 1_000
        responder.sink.advance(now.ms, now.ms)
        await new Promise((resolve) => setImmediate(resolve))
      }
    },
  }
}

const second = findingOf({
  id: 'finding-2',
  client: { kind: 'ip', value: '10.0.0.3', addresses: ['10.0.0.3'] },
})
const isRule = ({ text }: { readonly text: string }): boolean => text.includes('rate_limits')

it('tells arming from undoing: only what was there before is undone', async () => {
  const w = world()
  await w.responder.start(new AbortController().signal)
  w.responder.finding(findingOf())
  await w.pass(3)
  w.responder.pause(true)
  await w.pass(1)
  expect(w.writes.map((write) => [isRule(write), write.undo])).toEqual([
    [false, false],
    [true, false],
    [false, true],
  ])
})

it('takes rules back at once, though others were refused a moment ago', async () => {
  const w = world()
  await w.responder.start(new AbortController().signal)
  w.responder.finding(findingOf())
  await w.pass(3)
  w.now.error = new EnforceError('Cannot write: shop has not opted in', { retryable: false })
  w.responder.finding(second)
  await w.pass(50)
  expect(w.writes.filter(isRule)).toHaveLength(1)
  expect(w.errors.length).toBeLessThan(8)
  expect(w.errors.at(-1)).toMatchObject({ retryable: false })
  w.now.facts = { namespaceLabels: {} }
  await w.pass(11) // looks at the namespace every 10 s
  expect(w.responder.limits().map(({ state }) => state)).toEqual(['reverted', 'reverted'])
  expect(w.writes.at(-1)).toMatchObject({ undo: true, text: expect.not.stringContaining('limits') })
})

it('gives the CEC of a Service that was made anew to the new one, once limits on the old one are gone', async () => {
  const w = world()
  const reborn = { ...serviceObject(), metadata: { name: 'checkout', uid: 'uid-2' } }
  await w.responder.start(new AbortController().signal)
  w.responder.finding(findingOf())
  await w.pass(3)
  w.now.facts = { service: reborn }
  w.responder.finding(second)
  expect(w.responder.limits().at(-1)).toMatchObject({
    state: 'refused',
    reason: expect.stringContaining('earlier Service'),
  })
  w.responder.pause(true)
  await w.pass(1)
  w.responder.pause(false)
  w.responder.finding(second)
  await w.pass(1)
  expect(w.writes.at(-1)).toMatchObject({ undo: false, text: expect.stringContaining('uid-2') })
})
