import { existsSync, readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { expect, it } from 'vitest'
import { createDetector } from '../../../src/detect/detector.ts'
import { callOf, START_MS } from '../../unit/detect/calls.ts'

/** Labelled traffic of a small shop, where a developer has it. */
const SAMPLE = '../shared/samples/abuse/synth_example.jsonl.gz'

interface Event {
  readonly t: number
  readonly kind: string
  readonly src: string
  readonly dst: string
  readonly method: string
  readonly path: string
  readonly status: number
  readonly label: string
  readonly aid?: string
}

it.skipIf(!existsSync(SAMPLE))('finds what its rules are for, and nobody else', () => {
  const lines = gunzipSync(readFileSync(SAMPLE)).toString().trimEnd().split('\n')
  const events = lines.map((line) => JSON.parse(line) as Event).filter((e) => e.kind === 'http')
  const attackers = new Set(events.filter((e) => e.label !== 'benign').map((e) => e.src))
  const found = new Set<string>()
  const benign: string[] = []
  let now = events[0]
  const detector = createDetector({}, ({ client, kind, sentence }) => {
    if (client === null || !attackers.has(client.value)) benign.push(sentence)
    found.add(`${now?.aid} ${kind}`)
  })
  for (const event of events) {
    now = event
    detector.accept(
      callOf({
        at: event.t - START_MS / 1_000,
        client: event.src,
        kind: event.src.includes('/') ? 'workload' : 'ip',
        status: event.status,
        api: null,
        operation: null,
        method: event.method,
        path: event.path.replace(/[?#].*/, ''),
        to: event.dst,
      }),
    )
  }
  expect(benign).toEqual([])
  expect([...found].sort()).toEqual([
    'A000-bruteforce bruteforce',
    'A001-bruteforce_slow bruteforce',
    'A002-credstuff bruteforce',
    'A011-flood flood',
  ])
})
