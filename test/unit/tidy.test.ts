import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, sep } from 'node:path'
import { expect, it } from 'vitest'

const LINES_MAX = 400
const BASE = ['errors.ts', 'model', 'runtime', 'pipeline']
const ROOMS = [
  'hubble',
  'exchange',
  'identity',
  'metrics',
  'traces',
  'events',
  'detect',
  'respond',
  'kubernetes',
  'console',
  'demo',
]
/** What each place of src/ may import, besides itself: docs/ARCHITECTURE.md, Code map. */
const MAY_IMPORT: Record<string, readonly string[] | 'all'> = {
  'main.ts': ['cli', 'errors.ts'],
  cli: ['app.ts', 'config', ...BASE],
  'app.ts': 'all',
  app: [...ROOMS, 'config', 'telemetry', ...BASE],
  'errors.ts': [],
  model: [],
  runtime: ['errors.ts'],
  pipeline: ['errors.ts', 'model', 'runtime'],
  config: ['errors.ts'],
  telemetry: BASE,
  ...Object.fromEntries(ROOMS.map((room) => [room, BASE])),
}
const roomOf = (path: string): string => path.split(sep)[0] ?? ''

it('keeps rooms apart, files short, and the process at its edge', () => {
  const problems: string[] = []
  for (const file of readdirSync('src', { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.ts')) continue
    const text = readFileSync(join('src', file), 'utf8')
    const allowed = MAY_IMPORT[roomOf(file)]
    if (allowed === undefined) problems.push(`${file} is in no known room`)
    for (const [, target = ''] of text.matchAll(/(?:from |import |import\()'(\.{1,2}\/[^']+)'/g)) {
      const other = roomOf(relative('src', join('src', dirname(file), target)))
      const fine = other === roomOf(file) || allowed === 'all' || allowed?.includes(other)
      if (!fine) problems.push(`${file} imports ${other}`)
    }
    if (text.split('\n').length > LINES_MAX) {
      problems.push(`${file} is longer than ${LINES_MAX} lines`)
    }
    if (/\bprocess\.\w/.test(text) && file !== 'main.ts') problems.push(`${file} uses process`)
  }
  expect(problems).toEqual([])
})
