import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { ConfigError } from '../../../src/errors.ts'
import { keyOfObject } from '../../../src/identity/kubernetes-object.ts'
import { readManifests } from '../../../src/identity/manifests.ts'

let dir = ''
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'weir-manifests-'))
})
afterEach(() => {
  rmSync(dir, { recursive: true })
})

const write = (name: string, text: string): void => writeFileSync(join(dir, name), text)
const service = (name: string, extra = ''): string =>
  `apiVersion: v1\nkind: Service\nmetadata: {name: ${name}, namespace: shop}\n${extra}`

async function read(...dirs: string[]) {
  const { objects, problems } = await readManifests(dirs.length > 0 ? dirs : [dir])
  return { keys: objects.map(keyOfObject), objects, problems }
}

describe('readManifests()', () => {
  it('reads documents, lists and JSON, in all folders, and nothing else', async () => {
    mkdirSync(join(dir, 'deep'))
    write('a.yaml', `${service('a')}---\n# nothing\n---\n${service('b')}`)
    write(
      'deep/c.yml',
      `kind: List\napiVersion: v1\nitems:\n- ${service('c').replaceAll('\n', '\n  ')}`,
    )
    write(
      'd.json',
      JSON.stringify({
        apiVersion: 'v1',
        kind: 'ServiceList',
        items: [{ metadata: { name: 'd', namespace: 'shop' } }],
      }),
    )
    write('notes.txt', 'not: read')
    mkdirSync(join(dir, '.hidden'))
    write('.hidden/e.yaml', service('e'))
    const { keys, problems } = await read()
    expect(problems).toEqual([])
    expect(keys.sort()).toEqual(['a', 'b', 'c', 'd'].map((name) => `/Service/shop/${name}`))
  })

  it('keeps the last of several, as kubectl apply does, whatever their versions', async () => {
    const api = (version: string, name: string): string =>
      `apiVersion: dp.wso2.com/${version}\nkind: API\nmetadata: {name: x}\nspec: {apiName: ${name}}\n`
    write('a.yaml', api('v1alpha1', 'first'))
    write('b.yaml', api('v1alpha3', 'last'))
    const { objects } = await read()
    expect(objects.map((object) => object['spec'])).toEqual([{ apiName: 'last' }])
  })

  it('tells of a broken document by path and line, and reads those around it', async () => {
    write('a.yaml', `${service('a')}---\nkind: [\n---\n${service('b')}`)
    write('b.json', '{"kind": ')
    write('c.yaml', 'just: a map\n')
    write(
      'd.yaml',
      'a: &a [x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b]\nd: [*c, *c, *c, *c, *c, *c, *c, *c]\n',
    )
    const { keys, problems } = await read()
    expect(keys).toEqual(['/Service/shop/a', '/Service/shop/b'])
    expect(problems.map(({ path, line }) => [path.slice(dir.length + 1), line])).toEqual([
      ['a.yaml', expect.any(Number)],
      ['b.json', 1],
      ['c.yaml', 1],
      ['d.yaml', 1],
    ])
    expect(problems.every(({ reason }) => reason !== '' && !reason.includes('\n'))).toBe(true)
    expect(problems[0]?.line).toBeGreaterThan(3)
  })

  it('takes a plain file, follows links once, and tells of links to nowhere', async () => {
    write('a.yaml', service('a'))
    mkdirSync(join(dir, 'ring'))
    symlinkSync(dir, join(dir, 'ring', 'back'))
    symlinkSync(join(dir, 'gone.yaml'), join(dir, 'ring', 'gone.yaml'))
    expect((await read(join(dir, 'a.yaml'))).keys).toEqual(['/Service/shop/a'])
    const { keys, problems } = await read()
    expect(keys).toEqual(['/Service/shop/a'])
    expect(problems.map(({ reason }) => reason)).toEqual([expect.stringContaining('ENOENT')])
  })

  it('refuses a directory that is not there', async () => {
    await expect(read(join(dir, 'gone'))).rejects.toThrow(ConfigError)
  })
})
