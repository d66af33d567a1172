import { describe, expect, it } from 'vitest'
import { ApiState } from '../../../src/detect/api-table.ts'
import { type Subject, SubjectTable } from '../../../src/detect/subject-table.ts'
import type { Client } from '../../../src/model/api.ts'
import { ORDERS, START_MS } from './calls.ts'

function tableOf(statesMax: number, evidence: Record<number, number> = {}) {
  const forgotten: number[] = []
  const api = new ApiState(0, 'orders', ORDERS, START_MS)
  const table = new SubjectTable({
    statesMax,
    suspicionOf: (slot) => evidence[slot] ?? 0,
    onForget: (slot) => forgotten.push(slot),
  })
  /** Calls four times, so that the doorkeeper lets it in. */
  const call = (value: string, timeMs = START_MS): Subject | undefined => {
    const client: Client = { kind: 'ip', value, addresses: [] }
    for (let i = 0; i < 3; i++) table.subjectOf(api, client, timeMs)
    return table.subjectOf(api, client, timeMs)
  }
  return { table, api, call, forgotten }
}

describe('SubjectTable', () => {
  it('knows a client again, whatever object brings it', () => {
    const { call, table } = tableOf(20)
    expect(call('a')).toBe(call('a'))
    expect(call('b')).not.toBe(call('a'))
    expect(table.size).toBe(2)
  })

  it('keeps out who calls fewer than four times, once half full', () => {
    const { table, api, call } = tableOf(20)
    for (let i = 0; i < 10; i++) call(`client-${i}`)
    const late = (): Subject | undefined =>
      table.subjectOf(api, { kind: 'ip', value: 'late', addresses: [] }, START_MS)
    expect([late(), late(), late()]).toEqual([undefined, undefined, undefined])
    expect(late()).toMatchObject({ value: 'late', slot: 10 })
  })

  it('lets go of the one with the least evidence among the oldest', () => {
    const { table, call, forgotten } = tableOf(20, { 0: 0.9, 1: 0.5, 2: 0.1, 3: 0.4 })
    for (let i = 0; i < 20; i++) call(`client-${i}`)
    call('client-4')
    call('one more')
    expect(forgotten).toEqual([5])
    expect([table.size, table.evicted]).toEqual([20, 1])
  })

  it('pins a tenth of the table, until their time is over', () => {
    const { table, call, forgotten } = tableOf(20)
    for (let i = 0; i < 20; i++) {
      const subject = call(`client-${i}`)
      if (subject !== undefined && i < 3) table.pin(subject, START_MS + 60_000)
    }
    for (let i = 0; i < 40; i++) call(`flood-${i}`)
    expect(forgotten).not.toContain(0)
    expect(forgotten).not.toContain(1)
    expect(forgotten).toContain(2)
    table.sweep(START_MS + 60_000)
    for (let i = 40; i < 80; i++) call(`flood-${i}`)
    expect(forgotten).toContain(0)
  })

  it('forgets who was not seen for a day, and uses the slot again', () => {
    const { table, api, call, forgotten } = tableOf(20)
    const old = call('old')
    call('new', START_MS + 86_400_000)
    table.sweep(START_MS + 86_400_001)
    expect([forgotten, old?.slot, api.subjectCount, table.evicted]).toEqual([[0], -1, 1, 0])
    expect(call('next', START_MS + 86_400_001)?.slot).toBe(0)
  })

  it('keeps no long text, and still tells clients apart by it', () => {
    const { call } = tableOf(20)
    const a = call(`${'x'.repeat(10_000)}a`)
    expect(a?.value).toHaveLength(64)
    expect(call(`${'x'.repeat(10_000)}b`)).not.toBe(a)
    expect(call(`${'x'.repeat(10_000)}a`)).toBe(a)
  })
})
