import { PassThrough, type Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { createCaptureSource } from '../../../../src/hubble/capture/capture-source.ts'
import { EndpointTable } from '../../../../src/model/endpoint.ts'
import type { SourceNotice } from '../../../../src/pipeline/contract.ts'

const LINE = JSON.stringify({ flow: { uuid: 'a', time: '2026-01-02T03:04:05Z', Type: 'L3_L4' } })

function read(stdin: Readable, onNotice: (notice: SourceNotice) => void = () => {}) {
  const endpoints = new EndpointTable()
  const options = { name: 'capture', cluster: 'default', paths: ['-'] }
  const source = createCaptureSource({ ...options, stdin, endpoints })
  const stop = new AbortController()
  const uuids: string[] = []
  const notices: SourceNotice[] = []
  const port = {
    flow: (view: { uuid(): string }) => void uuids.push(view.uuid()),
    notice: (notice: SourceNotice) => {
      notices.push(notice)
      onNotice(notice)
    },
    ready: () => undefined,
  }
  return { running: source.run(port, stop.signal), stop, uuids, notices }
}

describe('a capture on standard input', () => {
  it('kept Weir from ending while it waited for the next line', async () => {
    const stdin = new PassThrough()
    const { running, stop, uuids } = read(stdin)
    stdin.write(`${LINE}\n`)
    await expect.poll(() => uuids).toEqual(['a'])
    stop.abort()
    await running
    expect(stdin.destroyed).toBe(true)
  })

  it('was not ready before its first line', async () => {
    const stdin = new PassThrough()
    const { running, stop, notices } = read(stdin)
    await expect.poll(() => notices.map(({ kind }) => kind)).toEqual(['connected'])
    stop.abort()
    await running
  })

  it('ends with the input; a line that breaks off is counted', async () => {
    const stdin = new PassThrough()
    const { running, uuids, notices } = read(stdin)
    stdin.end(`${LINE}\n${LINE.slice(0, 30)}`)
    await running
    expect(uuids).toEqual(['a'])
    expect(notices).toContainEqual({ kind: 'rejected', reason: 'malformed', count: 1 })
  })
})
