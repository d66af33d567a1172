import { once } from 'node:events'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { directoryOf } from '../fixtures/directory.ts'
import { httpRequest, httpResponse } from '../fixtures/hubble-flows.ts'
import { captureOf, SHOP_MANIFESTS } from '../fixtures/shop.ts'
import { runWeir, spawnWeir } from './weir.ts'

const T = 1_760_000_000_000
const BOOKINFO = '../shared/samples/flows/basic-sample-400-tcp-flows.jsonl.gz'

const FINDING = {
  id: 'f1',
  rule: 'auth-bruteforce',
  client: { kind: 'workload', value: 'shop/web', addresses: ['10.0.0.1'] },
  api: { name: 'Orders API', version: '1.0' },
  operation: { method: 'POST', template: '/login' },
  first: '2026-01-01T00:00:00Z',
  last: '2026-01-01T00:01:00Z',
  suggestion: { limit: { rate: 1, per: '1s', burst: 1, scope: 'operation' } },
}

describe('weir', () => {
  it('tells its verbs and their flags, and no others', async () => {
    const { code, stdout } = await runWeir(['--help'])
    expect(code).toBe(0)
    const verbs = [...stdout.matchAll(/^ {2}([a-z]+) /gm)].map(([, verb]) => verb)
    expect(verbs).toEqual([
      'run',
      'demo',
      'check',
      'replay',
      'resolve',
      'render',
      'explain',
      'help',
    ])
    for (const verb of verbs.slice(0, -1)) {
      expect((await runWeir([verb ?? '', '--help'])).stdout).toContain('Examples:')
    }
  })

  it.each([
    { why: 'an unknown verb', args: ['fly'], code: 2 },
    { why: 'an unknown flag', args: ['run', '--rely', 'x:1'], code: 2 },
    { why: 'a wrong mode', args: ['run', '--mode', 'loud'], code: 2 },
    {
      why: 'two inputs',
      args: ['run', '--relay', 'a:1', '--file', 'b'],
      code: 2,
      says: 'exclude each other',
    },
    { why: 'a time that is none', args: ['run', '--until', 'soon'], code: 2 },
    { why: 'a time that no timer can wait', args: ['demo', '--for', '600h'], code: 2 },
    { why: 'no manifests', args: ['resolve'], code: 2, says: 'use --manifests' },
    { why: 'no source', args: ['run'], code: 78, says: 'hubble.sources: needs at least one' },
    { why: 'a missing configuration', args: ['run', '--config', '/no/where.yaml'], code: 78 },
    {
      why: 'enforce without a target',
      args: ['run', '--relay', 'a:1', '--mode', 'enforce'],
      code: 78,
      says: 'need a target',
    },
    {
      why: 'a missing capture',
      args: ['replay', '/no/where.jsonl'],
      code: 1,
      says: 'Cannot read the capture',
    },
    { why: 'missing manifests', args: ['check', '--manifests', '/no/where'], code: 78 },
    { why: 'a finding that is no JSON', args: ['render', '--manifests', '.github'], code: 78 },
  ])('exits $code for $why', async ({ args, code, says = '' }) => {
    const ended = await runWeir(args, '{', directoryOf({}))
    expect([ended.code, ended.stdout]).toEqual([code, ''])
    expect(ended.stderr).toContain(says)
  })
})

describe('flags of every verb', () => {
  it('stand before the verb as well as behind it', async () => {
    const cwd = directoryOf({ 'other.yaml': 'detect: {rules: [{id: nothing}]}' })
    for (const args of [
      ['--config', 'other.yaml', 'check'],
      ['check', '--config', 'other.yaml'],
    ]) {
      const { code, stderr } = await runWeir(args, '', cwd)
      expect([code, stderr]).toEqual([78, expect.stringContaining('detect.rules.0.id')])
    }
    const manifests = directoryOf({ 'shop.yaml': SHOP_MANIFESTS })
    const ended = await runWeir(['--json', 'check', '--manifests', manifests])
    expect(JSON.parse(ended.stdout)).toMatchObject({ ok: true, apis: 1 })
  })
})

describe('weir check', () => {
  it('lists every problem of the configuration at once, with the nearest known key', async () => {
    const cwd = directoryOf({ 'weir.yaml': 'exchange: {unansweredAfer: 5s}\nlog: {level: loud}\n' })
    const { code, stderr } = await runWeir(['check'], '', cwd)
    expect(code).toBe(78)
    expect(stderr).toMatch(/unansweredAfer: no such key \(did you mean unansweredAfter\?\)/)
    expect(stderr).toMatch(/log\.level/)
  })

  it('tells a wrong configuration as JSON too, where it is asked to', async () => {
    const cwd = directoryOf({ 'weir.yaml': 'lgo: {}\nstateDri: x\n' })
    const { code, stdout } = await runWeir(['check', '--json'], '', cwd)
    expect([code, JSON.parse(stdout)]).toEqual([
      78,
      {
        ok: false,
        problems: [expect.stringContaining('log?'), expect.stringContaining('stateDir?')],
      },
    ])
  })

  it('checks rules and manifests too', async () => {
    const rules = 'detect: {rules: [{id: request-flood, thresholds: {floorPerMinut: 3}}]}'
    const wrong = await runWeir(['check'], '', directoryOf({ 'weir.yaml': rules }))
    expect([wrong.code, wrong.stderr]).toEqual([78, expect.stringContaining('floorPerMinut')])
    const manifests = directoryOf({ 'a.yaml': SHOP_MANIFESTS, 'b.yaml': 'a: [' })
    const broken = await runWeir(['check', '--manifests', manifests, '--json'])
    expect(broken.code).toBe(1)
    expect(JSON.parse(broken.stdout)).toMatchObject({
      ok: false,
      apis: 1,
      problems: [expect.stringContaining('b.yaml')],
    })
    const right = await runWeir(['check', '--manifests', join(manifests, 'a.yaml')])
    expect([right.code, right.stdout]).toEqual([0, expect.stringContaining('1 APIs, 0 problems')])
  })
})

describe('weir replay', () => {
  it('merges captures by time and gives one summary', async () => {
    const flow = { atMs: T, uuid: 'a', url: 'http://orders.shop:8080/orders/7', service: 'orders' }
    const request = captureOf([
      httpRequest(flow),
      httpRequest({ ...flow, uuid: 'b', clientPort: 2, atMs: T + 90 }),
    ])
    const response = captureOf([httpResponse({ ...flow, atMs: T + 8, uuid: 'c', code: 200 })])
    const directory = directoryOf({
      'one.jsonl': `${request}{"flow":{"time":`,
      'shop.yaml': SHOP_MANIFESTS,
    })
    writeFileSync(join(directory, 'two.jsonl.gz'), gzipSync(response + response))
    const { code, stdout } = await runWeir([
      'replay',
      join(directory, 'one.jsonl'),
      join(directory, 'two.jsonl.gz'),
      '--manifests',
      join(directory, 'shop.yaml'),
      '--json',
    ])
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({
      flows: 3,
      requests: 2,
      responses: 1,
      calls: 2,
      paired: 1,
      estimated: 1,
      unanswered: 1,
      duplicates: 1,
      rejected: { malformed: 1 },
      unaccounted: 0,
      apis: [
        {
          api: { name: 'Orders API', version: '1.0' },
          workload: 'shop/orders',
          calls: 2,
          status: { 200: 1, none: 1 },
          p50_ms: 8,
        },
      ],
      findings: [],
    })
  })

  it.skipIf(!existsSync(BOOKINFO))('reads a real capture: what it holds is paired', async () => {
    const { stdout } = await runWeir(['replay', BOOKINFO, '--json'])
    // One response's request is older than the capture, and two requests' responses are younger.
    expect(JSON.parse(stdout)).toMatchObject({
      flows: 400,
      requests: 33,
      responses: 32,
      paired: 31,
      unrequested: 1,
      unanswered: 2,
      calls: 34,
      estimated: 12,
      duplicates: 0,
      unaccounted: 0,
    })
  })
})

describe('weir resolve', () => {
  it('answers a line with a line, and exits 1 where one could not be read', async () => {
    const manifests = directoryOf({ 'shop.yaml': SHOP_MANIFESTS })
    const lines = [
      { leg: 'gateway', method: 'GET', host: 'api.acme.test', path: '/orders-api/1.0/orders/7' },
      { leg: 'backend', method: 'POST', path: '/login', service: 'shop/orders', port: 8080 },
      { leg: 'backend', method: 'GET', path: '/', service: 'shop/other', port: 80 },
    ].map((line) => JSON.stringify(line))
    const good = await runWeir(['resolve', '--manifests', manifests, '--json'], lines.join('\n'))
    expect(good.code).toBe(0)
    expect(
      good.stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as object),
    ).toMatchObject([
      { api: { name: 'Orders API' }, confidence: 'exact', operation: { method: 'GET' } },
      { api: { name: 'Orders API' }, confidence: 'high', operation: { template: '/login' } },
      { api: null, confidence: 'none' },
    ])
    const bad = await runWeir(['resolve', '--manifests', manifests, '--json'], `{\n${lines[1]}`)
    expect(bad.code).toBe(1)
    expect(bad.stdout).toMatch(/^\{"error":.*\n\{"api":\{/)
  })
})

it('`weir resolve … | head -1` ends with 0, though it had more to say', async () => {
  const manifests = directoryOf({ 'shop.yaml': SHOP_MANIFESTS })
  const child = spawnWeir(['resolve', '--manifests', manifests, '--json'])
  const exit = once(child, 'exit')
  child.stdin?.on('error', () => {}) // It ends before it has read everything.
  child.stdin?.end('{"leg":"gateway","method":"GET","host":"a","path":"/x"}\n'.repeat(20_000))
  child.stdout?.once('data', () => child.stdout?.destroy())
  expect(await exit).toEqual([0, null])
})

describe('weir render', () => {
  it('writes the CEC of a finding, the same bytes each time', async () => {
    const manifests = directoryOf({
      'shop.yaml': SHOP_MANIFESTS,
      'finding.json': JSON.stringify(FINDING),
    })
    const file = join(manifests, 'finding.json')
    const args = ['render', '--manifests', join(manifests, 'shop.yaml')]
    const first = await runWeir([...args, file])
    expect(first.code).toBe(0)
    expect((await runWeir(args, JSON.stringify([FINDING]))).stdout).toBe(first.stdout)
    expect(
      parseAllDocuments(first.stdout).map((document) => document.toJS() as object),
    ).toMatchObject([
      {
        kind: 'CiliumEnvoyConfig',
        metadata: { name: 'weir-orders', namespace: 'shop' },
        spec: { services: [{ name: 'orders', namespace: 'shop', ports: [8080] }] },
      },
    ])
    expect(first.stdout).toContain('10.0.0.1')
  })

  it('takes manifests and protected addresses from the configuration; --json is a line a CEC', async () => {
    const cwd = directoryOf({ 'shop.yaml': SHOP_MANIFESTS })
    const config = 'identity: {manifests: [shop.yaml]}\n'
    writeFileSync(join(cwd, 'weir.yaml'), config)
    const json = await runWeir(['render', '--json'], JSON.stringify(FINDING), cwd)
    expect(json.stdout.trim().split('\n')).toHaveLength(1)
    expect(JSON.parse(json.stdout)).toMatchObject({ metadata: { name: 'weir-orders' } })
    writeFileSync(join(cwd, 'weir.yaml'), `${config}respond: {protect: [10.0.0.0/8]}\n`)
    const ended = await runWeir(['render'], JSON.stringify(FINDING), cwd)
    expect([ended.code, ended.stdout, ended.stderr]).toEqual([
      1,
      '',
      expect.stringContaining('10.0.0.1'),
    ])
  })

  it('refuses with the reason on standard error, and nothing on standard output', async () => {
    const nodePort = SHOP_MANIFESTS.replace('type: ClusterIP', 'type: NodePort')
    const manifests = directoryOf({ 'shop.yaml': nodePort })
    const ended = await runWeir(['render', '--manifests', manifests], JSON.stringify(FINDING))
    expect([ended.code, ended.stdout]).toEqual([1, ''])
    expect(ended.stderr).toMatch(/NodePort/)
  })
})
