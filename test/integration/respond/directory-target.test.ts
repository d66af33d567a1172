import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { createDirectoryTarget } from '../../../src/respond/directory-target.ts'
import { planOf } from '../../../src/respond/plan.ts'
import { decisionOf, SERVICE } from '../../unit/respond/samples.ts'

async function directory(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'weir-cecs-'))
  onTestFinished(() => rm(path, { recursive: true }))
  return path
}

const plan = planOf(SERVICE, [decisionOf()], '')
const cec = 'refusal' in plan ? {} : (plan.cec as object)

it('keeps a file a CEC, gives it back as it was, and leaves nothing beside it', async () => {
  const path = join(await directory(), 'cecs')
  const target = createDirectoryTarget(path)
  expect(await target.list()).toEqual([])
  await target.write(cec)
  await target.write(cec)
  expect(await readdir(path)).toEqual(['shop--weir-checkout.yaml'])
  expect(await target.list()).toEqual([cec])
})

it('passes over what is not ours, or no YAML, and replaces it', async () => {
  const path = await directory()
  const target = createDirectoryTarget(path)
  await writeFile(join(path, 'theirs.yaml'), 'a: 1')
  await writeFile(join(path, 'shop--weir-checkout.yaml'), '{half')
  expect(await target.list()).toEqual([])
  await target.write(cec)
  expect(await target.list()).toEqual([cec])
  expect(await readFile(join(path, 'theirs.yaml'), 'utf8')).toBe('a: 1')
})

it('writes no file outside of its directory', async () => {
  const target = createDirectoryTarget(await directory())
  const metadata = { namespace: '..', name: '../../x' }
  await expect(target.write({ metadata })).rejects.toThrow('no Kubernetes names')
})

it('says what it could not do where the directory cannot be', async () => {
  const path = join(await directory(), 'file')
  await writeFile(path, '')
  const target = createDirectoryTarget(path)
  await expect(target.list()).rejects.toMatchObject({ code: 'ENFORCE', retryable: true })
  await expect(target.write(cec)).rejects.toMatchObject({ code: 'ENFORCE', retryable: true })
})
