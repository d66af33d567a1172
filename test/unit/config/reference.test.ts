import { expect, it } from 'vitest'
import { configurationReference } from '../../../src/config/reference.ts'

const INTRODUCTION = `# Configuration

Defaults, then the file (\`weir.yaml\`, or \`--config FILE\`), then the environment, then flags.
A variable is \`WEIR_\` and the path in upper snake case: \`WEIR_EXCHANGE_UNANSWERED_AFTER=30s\`; lists
and objects as JSON. Durations are written \`30s\`, \`1m30s\`; sizes \`64Mi\`. \`\${file:PATH}\` reads a secret
from a file. An unknown key is an error that names the nearest known one; an unknown \`WEIR_\` variable
is a warning. \`weir check\` reports everything wrong at once.

`

it('docs/configuration.md is what the schema says (vitest -u writes it)', async () => {
  const page = `${INTRODUCTION}${configurationReference()}\n`
  await expect(page).toMatchFileSnapshot('../../../docs/configuration.md')
})
