import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it, onTestFinished } from 'vitest'
import { encodeCall } from '../../../src/events/encode-call.ts'
import { encodeFinding } from '../../../src/events/encode-finding.ts'
import type { Publisher } from '../../../src/events/publisher.ts'
import {
  createSqlitePublisher,
  type SqlitePublisherOptions,
} from '../../../src/events/sqlite-publisher.ts'
import type { Encoded } from '../../../src/pipeline/contract.ts'
import { callOf, findingOf, START_MS } from '../../unit/events/samples.ts'

const TOPICS = ['weir.dead', 'weir.calls', 'weir.findings', 'weir.limits']
const CALLS = { topic: 'weir.calls', cluster: 'test' }
const FINDINGS = { topic: 'weir.findings', cluster: 'test' }

async function freshFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'weir-sqlite-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  return folder
}

function open(path: string, options: Partial<SqlitePublisherOptions> = {}): Publisher {
  const publisher = createSqlitePublisher({ path, topics: TOPICS, ...options })
  onTestFinished(() => publisher.close())
  return publisher
}

function callEvent(n: number, exchange: { path?: string; revises?: boolean } = {}): Encoded {
  return encodeCall(CALLS, callOf({ exchange, report: { uuid: `${n}`, seenMs: START_MS + n } }))
}

function rowsOf(path: string, sql: string): Record<string, unknown>[] {
  const database = new DatabaseSync(path, { readOnly: true })
  try {
    return database.prepare(sql).all()
  } finally {
    database.close()
  }
}

describe('createSqlitePublisher()', () => {
  it('makes folder and file, and keeps events that another process can read at once', async () => {
    const path = join(await freshFolder(), 'state', 'events.db')
    const publisher = open(path)
    await publisher.open()
    const call = callEvent(1)
    const finding = encodeFinding(FINDINGS, findingOf())
    await publisher.publish([call])
    await publisher.publish([finding])
    const rows = rowsOf(path, 'SELECT * FROM events ORDER BY topic')
    expect(rows).toEqual(
      [call, finding].map((event) => ({
        id: event.headers['ce_id'],
        type: event.headers['ce_type'],
        time: event.headers['ce_time'],
        key: event.key,
        topic: event.topic,
        headers: JSON.stringify(event.headers),
        data: event.value.toString(),
      })),
    )
  })

  it('drops doubles, also across restarts, but takes a revision', async () => {
    const path = join(await freshFolder(), 'events.db')
    const first = open(path)
    await first.open()
    await first.publish([callEvent(1, { path: '/a' }), callEvent(1, { path: '/b' })])
    await first.close()
    const second = open(path)
    await second.open()
    await second.publish([callEvent(1, { path: '/c' })])
    const pathSql = "SELECT data ->> '$.path' AS path FROM events"
    expect(rowsOf(path, pathSql)).toEqual([{ path: '/a' }])
    await second.publish([callEvent(1, { path: '/d', revises: true })])
    await second.publish([callEvent(1, { path: '/e' })])
    expect(rowsOf(path, pathSql)).toEqual([{ path: '/d' }])
  })

  it('stays within its bytes: the oldest calls go first, findings stay', async () => {
    const path = join(await freshFolder(), 'events.db')
    const maxBytes = 2 * 1024 * 1024
    let pruned = 0
    const publisher = open(path, {
      maxBytes,
      onPruned: (count) => {
        pruned += count
      },
    })
    await publisher.open()
    await publisher.publish([encodeFinding(FINDINGS, findingOf())])
    let n = 0
    for (let batch = 0; batch < 20; batch++) {
      const events = Array.from({ length: 300 }, () => callEvent(n++))
      await publisher.publish(events)
      expect((await stat(path)).size).toBeLessThan(maxBytes * 1.5)
    }
    const [calls] = rowsOf(
      path,
      "SELECT count(*) AS count, min(time) AS oldest, max(time) AS newest FROM events WHERE topic = 'weir.calls'",
    )
    expect(pruned).toBeGreaterThan(1_000)
    expect(calls?.['count']).toBe(n - pruned)
    expect(calls?.['oldest']).toBe(callEvent(pruned).headers['ce_time'])
    expect(calls?.['newest']).toBe(callEvent(n - 1).headers['ce_time'])
    expect(rowsOf(path, "SELECT id FROM events WHERE topic = 'weir.findings'")).toHaveLength(1)
    await publisher.close()
    expect((await stat(path)).size).toBeLessThan(maxBytes * 1.1)
  })

  it('shrinks a file that grew under a higher bound', async () => {
    const path = join(await freshFolder(), 'events.db')
    const wide = open(path)
    await wide.open()
    await wide.publish(Array.from({ length: 3_000 }, (_, n) => callEvent(n)))
    await wide.close()
    const before = (await stat(path)).size
    const narrow = open(path, { maxBytes: before / 4 })
    await narrow.open()
    await narrow.publish([callEvent(3_000)])
    await narrow.close()
    expect((await stat(path)).size).toBeLessThan(before / 3)
  })

  it.each([
    {
      why: 'a folder that cannot be made',
      spoil: async (folder: string) => {
        await writeFile(join(folder, 'file'), '')
        return join(folder, 'file', 'events.db')
      },
    },
    { why: 'a file that is a folder', spoil: async (folder: string) => folder },
    {
      why: 'a file that is no database',
      spoil: async (folder: string) => {
        await writeFile(
          join(folder, 'events.db'),
          'no database, but long enough for a header'.repeat(99),
        )
        return join(folder, 'events.db')
      },
    },
    {
      why: 'a file of a later layout',
      spoil: async (folder: string) => {
        const database = new DatabaseSync(join(folder, 'events.db'))
        database.exec('PRAGMA user_version = 99')
        database.close()
        return join(folder, 'events.db')
      },
    },
  ])('cannot use $why, says so, and goes on once it is mended', async ({ spoil }) => {
    const folder = await freshFolder()
    const path = await spoil(folder)
    const publisher = open(path)
    await expect(publisher.open()).rejects.toMatchObject({
      sink: 'sqlite',
      retryable: false,
      message: `Cannot open ${path}`,
    })
    await expect(publisher.publish([callEvent(1)])).rejects.toMatchObject({ retryable: false })
    await rm(folder, { recursive: true })
    await publisher.open()
    await publisher.publish([callEvent(1)])
    expect(rowsOf(path, 'SELECT id FROM events')).toHaveLength(1)
  })

  it('waits for another writer, and fails for now where that takes too long', async () => {
    const path = join(await freshFolder(), 'events.db')
    const publisher = open(path)
    await publisher.open()
    const other = new DatabaseSync(path)
    other.exec('BEGIN IMMEDIATE')
    await expect(publisher.publish([callEvent(1)])).rejects.toMatchObject({ retryable: true })
    other.exec('ROLLBACK')
    other.close()
    await publisher.publish([callEvent(1)])
    expect(rowsOf(path, 'SELECT id FROM events')).toHaveLength(1)
  })

  it('can be closed unopened, and twice', async () => {
    const publisher = open(join(await freshFolder(), 'events.db'))
    await publisher.close()
    await publisher.open()
    await publisher.close()
    await publisher.close()
  })
})
