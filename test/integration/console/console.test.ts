import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { describe, expect, it, onTestFinished } from 'vitest'
import { type Console, type ConsoleOptions, createConsole } from '../../../src/console/console.ts'
import { createRecent } from '../../../src/console/recent.ts'
import { SinkError } from '../../../src/errors.ts'

function open(over: Partial<ConsoleOptions> = {}): Console {
  const console = createConsole({
    host: '127.0.0.1',
    port: 0,
    ready: () => ({ ready: true, waitingFor: [], degraded: [] }),
    metrics: async () => ({ contentType: 'text/plain', body: '' }),
    status: () => ({}),
    apis: () => [],
    discoveries: () => [],
    limits: () => [],
    ledger: () => [],
    recent: createRecent({ callsMax: 1, findingsMax: 1 }),
    encodeCall: () => ({}),
    ...over,
  })
  onTestFinished(() => console.stop(AbortSignal.timeout(100)))
  return console
}

const started = AbortSignal.timeout(60_000)

describe('createConsole()', () => {
  it('listens on a free port, answers, and is gone after its stop', async () => {
    const console = open()
    expect(console.address).toBe('')
    await console.start(started)
    const { address } = console
    expect(address).toMatch(/^127\.0\.0\.1:[1-9]\d*$/)
    const response = await fetch(`http://${address}/readyz`)
    expect(await response.json()).toEqual({ ready: true, waitingFor: [], degraded: [] })
    await console.stop(AbortSignal.timeout(5_000))
    await console.stop(AbortSignal.timeout(5_000))
    await expect(fetch(`http://${address}/readyz`)).rejects.toThrow('fetch failed')
  })

  it('says which address is taken', async () => {
    const other = createServer()
    onTestFinished(() => void other.close())
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as AddressInfo
    const attempt = open({ port }).start(started)
    await expect(attempt).rejects.toThrow(SinkError)
    await expect(attempt).rejects.toThrow(`Cannot listen on 127.0.0.1:${port}`)
  })

  it('cuts off at the deadline what does not end by itself', async () => {
    const console = open({ metrics: () => new Promise(() => {}) })
    await console.start(started)
    const [host = '', port = ''] = console.address.split(':')
    const socket = connect(Number(port), host)
    const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
    socket.on('error', () => {})
    await new Promise<void>((resolve) => socket.once('connect', () => resolve()))
    socket.write('GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n')
    await new Promise((resolve) => setTimeout(resolve, 50))
    await console.stop(AbortSignal.timeout(100))
    await closed
  })
})
