import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { runTool } from '../services/child.ts'
import { need } from '../services/need.ts'

const SOAK = fileURLToPath(new URL('../../bench/soak.ts', import.meta.url))
const RATE = 20_000
const SECONDS = 60
const KILLED_EVERY_SECONDS = 20

describe.skipIf(need('hubble').skip)('a minute at full rate', () => {
  it('each flow once, and nothing unaccounted, while Relay is killed and restarted', async () => {
    const lines: string[] = []
    const args = [SOAK, RATE, SECONDS, KILLED_EVERY_SECONDS].map(String)
    await runTool({ command: process.execPath, args }, (line) => lines.push(line))
    expect(JSON.parse(lines.at(-1) ?? '{}')).toMatchObject({ restarts: 2, isWhole: true })
  })
})
