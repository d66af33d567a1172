import { existsSync } from 'node:fs'
import { expect, it } from 'vitest'
import { Catalogue } from '../../../src/identity/catalogue.ts'
import { readManifests } from '../../../src/identity/manifests.ts'

const SAMPLES = '../shared/samples/apk'

it.skipIf(!existsSync(SAMPLES))(
  'reads upstream manifests, and nothing in them is fatal',
  async () => {
    const { objects, problems } = await readManifests([SAMPLES])
    expect(problems.map(({ path }) => path.split('/').at(-1))).toEqual([
      'EmployeeServiceDefinition.json',
    ])
    const catalogue = new Catalogue(objects)
    expect(catalogue.problems.every(({ reason }) => reason.endsWith('is not there'))).toBe(true)
    expect(catalogue.apis.length).toBeGreaterThan(40)
    expect(catalogue.apis.every(({ operations }) => operations.length > 0)).toBe(true)
  },
)
