import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { loadConfig } from '../../../src/config/load.ts'
import {
  bytesOfSize,
  msOfDuration,
  msOfMoment,
  partsOfHostPort,
} from '../../../src/config/values.ts'
import { directoryOf } from '../../fixtures/directory.ts'

const fileOf = (text: string): string => join(directoryOf({ 'weir.yaml': text }), 'weir.yaml')

const load = (text: string, environment: Record<string, string> = {}, overrides = {}) =>
  loadConfig({ file: fileOf(text), environment, overrides })

describe('loadConfig()', () => {
  it('runs with nothing but a relay address', () => {
    const { config, warnings } = load('hubble: {sources: [{relay: "hubble-relay:80"}]}')
    expect(config.respond.mode).toBe('observe')
    expect(config.exchange.unansweredAfter).toBe(30_000)
    expect(warnings).toEqual([])
    expect(Object.isFrozen(config.hubble.sources)).toBe(true)
  })

  it('takes defaults, then the file, then the environment, then flags', () => {
    const file = 'exchange: {unansweredAfter: 10s}\nstateDir: /a\ncluster: from-file'
    const { config } = load(
      file,
      { WEIR_STATE_DIR: '/b', WEIR_CLUSTER: 'from-env', WEIR_TRACES_SAMPLE: '0.5' },
      { cluster: 'from-flag' },
    )
    expect([config.exchange.unansweredAfter, config.stateDir, config.cluster]).toEqual([
      10_000,
      '/b',
      'from-flag',
    ])
    expect(config.traces.sample).toBe(0.5)
  })

  it('reads lists and objects from the environment as JSON', () => {
    const { config } = load('', { WEIR_HUBBLE_SOURCES: '[{"relay":"a:1","name":"x"}]' })
    expect(config.hubble.sources).toEqual([{ relay: 'a:1', name: 'x' }])
  })

  it('a variable of digits is text where text is asked for: a password, a cluster', () => {
    const { config } = load('events: {kafka: {sasl: {mechanism: plain, username: u}}}', {
      WEIR_EVENTS_KAFKA_SASL_PASSWORD: '0123',
      WEIR_CLUSTER: '["7"]',
      WEIR_EVENTS_SQLITE_MAX_BYTES: '4096',
      WEIR_EVENTS_KAFKA_TLS: 'true',
    })
    expect(config.events.kafka).toMatchObject({ sasl: { password: '0123' }, tls: true })
    expect([config.cluster, config.events.sqlite.maxBytes]).toEqual(['["7"]', 4_096])
  })

  it('warns of a variable that is no setting, and names the nearest', () => {
    expect(load('', { WEIR_STATE_DIRR: 'x' }).warnings).toEqual([
      'WEIR_STATE_DIRR is no setting; WEIR_STATE_DIR is',
    ])
  })

  it('reports everything wrong at once, with the nearest known key', () => {
    const text =
      'hubbel: {}\nexchange: {unansweredAfer: 3}\nrespond: {mode: enforce}\nlog: {level: loud}'
    expect(() => load(text)).toThrow(
      expect.objectContaining({
        name: 'ConfigError',
        message: expect.stringMatching(
          /unansweredAfer: no such key \(did you mean unansweredAfter\?\)[\s\S]*need a target[\s\S]*log\.level[\s\S]*hubbel: no such key \(did you mean hubble\?\)/,
        ),
      }),
    )
  })

  it('reads a secret from a file, and never shows one', () => {
    const secret = fileOf('s3cret\n')
    const sasl = (password: string) =>
      `events: {kafka: {sasl: {mechanism: plain, username: u, password: ${password}}}}`
    const { config } = load(sasl(`"\${file:${secret}}"`))
    expect(config.events.kafka.sasl?.password).toBe('s3cret')
    expect(() => load(sasl('12345'))).toThrow(/password: .*\(now: \*\*\*\)/)
    expect(() => load(sasl(`"\${file:/not/there}"`))).toThrow(/password: cannot read \/not\/there/)
  })

  it.each([
    ['a line that does not parse', 'events:\n  kafka:\n    sasl:\n      password: s3cret: x'],
    ['an alias', 'events: *s3cret'],
    ['an unclosed text', 'events: {kafka: {sasl: {password: "s3cret'],
    ['a URL', 'traces: {endpoint: "ftp://user:s3cret@collector"}'],
  ])('shows no secret that stands in %s', (_, text) => {
    let message = ''
    try {
      load(text)
    } catch (error) {
      message = (error as Error).message
    }
    expect(message).toMatch(/^Cannot use/)
    expect(message).not.toContain('s3cret')
  })

  it('finds before anything runs what cannot work together', () => {
    const text = `
events: {publisher: kafka}
traces: {endpoint: "ftp://collector"}
hubble: {sources: [{relay: "a:1"}, {relay: "a:1"}]}
exchange: {unansweredAfter: 30}
shutdownTimeout: 30d`
    expect(() => load(text)).toThrow(
      /sources: two of them[\s\S]*unansweredAfter: must be a duration[\s\S]*endpoint: must be a URL[\s\S]*needs events\.kafka\.brokers[\s\S]*shutdownTimeout: must be/,
    )
  })

  it('fails on a named file that is missing, and on one that is not YAML', () => {
    const missing = { file: '/not/there.yaml', environment: {}, overrides: {} }
    expect(() => loadConfig(missing)).toThrow('Cannot read the configuration /not/there.yaml')
    expect(() => load('a: [')).toThrow(/Cannot use/)
    expect(() => load('- a')).toThrow(/must be a map/)
  })
})

describe('values', () => {
  it.each([
    ['30s', 30_000],
    ['1m30s', 90_000],
    ['250ms', 250],
    ['1.5h', 5_400_000],
    ['30', undefined],
    ['-1s', undefined],
    ['1s ', undefined],
  ])('%s is %s ms', (text, ms) => expect(msOfDuration(text)).toBe(ms))

  it.each([
    ['64Mi', 67_108_864],
    ['1Gi', 1_073_741_824],
    ['500k', 500_000],
    ['4096', 4_096],
    ['4 Mi', undefined],
    ['x', undefined],
  ])('%s is %s bytes', (text, bytes) => expect(bytesOfSize(text)).toBe(bytes))

  it.each([
    ['a.b:80', { host: 'a.b', port: 80 }],
    ['[::1]:443', { host: '::1', port: 443 }],
    ['a:70000', undefined],
    ['a', undefined],
    ['::1:80', undefined],
  ])('%s is %o', (text, parts) => expect(partsOfHostPort(text)).toEqual(parts))

  it('a moment is a time, or how long ago', () => {
    expect(msOfMoment('5m', 1_000_000)).toBe(700_000)
    expect(msOfMoment('1970-01-01T00:00:01Z', 5)).toBe(1_000)
  })
})
