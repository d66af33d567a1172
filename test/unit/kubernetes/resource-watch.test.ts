import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { ApiError, errorOfAnswer } from '../../../src/kubernetes/api-error.ts'
import { ResourceWatch } from '../../../src/kubernetes/resource-watch.ts'
import { type Answer, scriptedClient, scriptedDiscovery } from './scripted-client.ts'

const object = (name: string, resourceVersion = '1'): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'shop', uid: name, resourceVersion },
})
const event = (type: string, name: string, resourceVersion: string): object => ({
  type,
  object: object(name, resourceVersion),
})
const status = (code: number, reason: string): object => ({
  kind: 'Status',
  status: 'Failure',
  message: `the server says ${reason}`,
  reason,
  code,
})
const refusal = (code: number, reason: string): Answer => ({
  error: errorOfAnswer('watch services', code, status(code, reason)),
})
const cut: Answer = { error: new ApiError('Cannot watch services', { kind: 'away' }) }
const listed = (resourceVersion: string, ...names: string[]): Answer => ({
  list: names.map((name) => object(name)),
  resourceVersion,
})

/** Runs the script until `count` requests were made. `told`: what the watch said, in order. */
async function play(script: readonly Answer[], count: number, misses?: readonly boolean[]) {
  const { client, asked } = scriptedClient(script)
  const told: string[] = []
  const waits: number[] = []
  const watch = new ResourceWatch({
    resource: { group: '', plural: 'services', labelSelector: 'app', optional: false },
    client,
    discovery: scriptedDiscovery(misses),
    timing: {
      backoffMs: (attempt) => {
        waits.push(attempt)
        return 0
      },
      now: () => 1_000,
      probeEveryMs: 1,
      watchMs: 60_000,
      watchIdleMs: 60_000,
      requestIdleMs: 60_000,
      relistEveryMs: 0,
    },
    objectsMax: 100,
    onObjects: (objects) => told.push(`objects ${objects.length}`),
    onChange: ({ type, object: { metadata } }) => told.push(`${type} ${metadata.name}`),
    onState: (state) => told.push(state),
  })
  const stop = new AbortController()
  const ended = watch.run(stop.signal)
  onTestFinished(() => stop.abort())
  await vi.waitFor(() => expect(asked.length).toBe(count))
  stop.abort()
  await ended
  const asks = asked.map((query) =>
    query.has('watch') ? `watch ${query.get('resourceVersion') ?? ''}` : 'list',
  )
  return { watch, told, asks, asked, waits }
}

describe('ResourceWatch', () => {
  it('lists page by page, then watches from there', async () => {
    const pages: Answer[] = [
      { list: [object('a')], resourceVersion: '5', next: 'page-2' },
      { list: [object('b')], resourceVersion: '5' },
    ]
    const { told, asks, asked } = await play(pages, 3)
    expect(asks).toEqual(['list', 'list', 'watch 5'])
    expect(asked.map((query) => query.get('continue'))).toEqual([null, 'page-2', null])
    expect(asked.map((query) => query.get('labelSelector'))).toEqual(['app', 'app', 'app'])
    expect(Object.fromEntries(asked[2] ?? [])).toMatchObject({
      allowWatchBookmarks: 'true',
      timeoutSeconds: '60',
    })
    expect(told).toEqual(['objects 2', 'synced'])
  })

  it.each([
    {
      why: 'goes on from the last event when a watch ends in order',
      script: [listed('5', 'a'), { lines: [event('ADDED', 'b', '7')] }],
      asks: ['list', 'watch 5', 'watch 7'],
      told: ['objects 1', 'synced', 'added b'],
    },
    {
      why: 'goes on from the last bookmark',
      script: [listed('5', 'a'), { lines: [event('BOOKMARK', '', '9')] }],
      asks: ['list', 'watch 5', 'watch 9'],
      told: ['objects 1', 'synced'],
    },
    {
      why: 'lists again when the server has forgotten where it was',
      script: [listed('5', 'a'), refusal(410, 'Expired'), listed('8', 'b')],
      asks: ['list', 'watch 5', 'list', 'watch 8'],
      told: ['objects 1', 'synced', 'deleted a', 'added b'],
    },
    {
      why: 'lists again when the stream itself says so',
      script: [
        listed('5', 'a'),
        { lines: [{ type: 'ERROR', object: status(410, 'Expired') }] },
        listed('8', 'a'),
      ],
      asks: ['list', 'watch 5', 'list', 'watch 8'],
      told: ['objects 1', 'synced'],
    },
    {
      why: 'lists again when the stream is none',
      script: [listed('5', 'a'), { lines: [{ type: 'SURPRISE' }] }, listed('8', 'a')],
      asks: ['list', 'watch 5', 'list', 'watch 8'],
      told: ['objects 1', 'synced'],
    },
    {
      why: 'keeps what it has while the server is away, and resumes',
      script: [listed('5', 'a'), cut, cut],
      asks: ['list', 'watch 5', 'watch 5', 'watch 5'],
      told: ['objects 1', 'synced', 'away', 'synced'],
    },
    {
      why: 'lists again when the server refuses the same watch for the third time',
      script: [
        listed('5', 'a'),
        refusal(500, 'Oops'),
        refusal(500, 'Oops'),
        refusal(500, 'Oops'),
        listed('6', 'a'),
      ],
      asks: ['list', 'watch 5', 'watch 5', 'watch 5', 'list', 'watch 6'],
      told: ['objects 1', 'synced', 'away', 'synced'],
    },
    {
      why: 'begins the list anew when a page is too late',
      script: [
        { list: [object('a')], resourceVersion: '5', next: 'page-2' } as const,
        refusal(410, 'Expired'),
        listed('6', 'b'),
      ],
      asks: ['list', 'list', 'list', 'watch 6'],
      told: ['objects 1', 'synced'],
    },
  ])('$why', async ({ script, asks, told }) => {
    const played = await play(script, asks.length)
    expect(played.asks).toEqual(asks)
    expect(played.told).toEqual(told)
  })

  it('waits longer from failure to failure, and starts over once something came', async () => {
    const script = [cut, cut, listed('5'), { lines: [event('ADDED', 'a', '6')] }, cut]
    const { waits } = await play(script, 6)
    expect(waits).toEqual([1, 2, 1])
  })

  it('says which verb RBAC must allow, and keeps asking', async () => {
    const script = [refusal(403, 'Forbidden'), listed('5'), refusal(403, 'Forbidden')]
    const { told, watch } = await play(script, 4)
    expect(told).toEqual(['forbidden', 'objects 0', 'synced', 'forbidden', 'synced'])
    expect(watch.reason).toBe('')
  })

  it('does not forget its objects on the first word that their kind is gone', async () => {
    const script = [listed('5', 'a'), refusal(404, 'NotFound'), listed('8', 'a')]
    const { told } = await play(script, 4, [false, true, false])
    expect(told).toEqual(['objects 1', 'synced', 'objects 0', 'missing', 'objects 1', 'synced'])
    const once = await play(script, 4, [false, false])
    expect(once.told).toEqual(['objects 1', 'synced'])
  })

  it('says nothing more once it has been stopped, though more lines are there', async () => {
    const script = [
      listed('5'),
      { lines: [event('ADDED', 'a', '6'), event('ADDED', 'b', '7'), event('ADDED', 'c', '8')] },
    ]
    const { client } = scriptedClient(script)
    const stop = new AbortController()
    const told: string[] = []
    const watch = new ResourceWatch({
      resource: { group: '', plural: 'services', optional: false },
      client,
      discovery: scriptedDiscovery(),
      timing: {
        backoffMs: () => 0,
        now: () => 0,
        probeEveryMs: 1,
        watchMs: 1_000,
        watchIdleMs: 1_000,
        requestIdleMs: 1_000,
        relistEveryMs: 0,
      },
      objectsMax: 10,
      onObjects: () => {},
      onChange: ({ object: { metadata } }) => {
        told.push(metadata.name)
        stop.abort()
      },
      onState: () => {},
    })
    await watch.run(stop.signal)
    expect(told).toEqual(['a'])
  })
})
