import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { DETECT_RULES } from '../../../src/detect/rule-catalogue.ts'

it('docs/detection.md lists every threshold, as the rules have it', () => {
  const rows = DETECT_RULES.flatMap(({ id, thresholds }) =>
    Object.entries(thresholds).map(
      ([name, { value, min, max, meaning }]) =>
        `| ${id} | \`${name}\` | ${value} | ${min} … ${max} | ${meaning} |`,
    ),
  )
  const listed = readFileSync('docs/detection.md', 'utf8')
    .split('\n')
    .filter((line) => DETECT_RULES.some(({ id }) => line.startsWith(`| ${id} |`)))
  expect(listed).toEqual(rows)
})
