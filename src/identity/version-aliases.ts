import { type KubernetesObject, textOf } from './kubernetes-object.ts'

const SEMANTIC = /^v(\d+)\.(\d+)\.(\d+)$/

/**
 * The short versions that APK's router serves by each API CR where its intelligent routing is on: the
 * latest of `v1.*.*` is `v1`, too, the latest of `v1.2.*` is `v1.2`. Versions of another form have none.
 * Source: wso2/apk 1.3.0, adapter (semantic versioning, off by default).
 */
export function versionAliases(
  crs: readonly KubernetesObject[],
): ReadonlyMap<KubernetesObject, readonly string[]> {
  const latest = new Map<string, { cr: KubernetesObject; alias: string; order: number[] }>()
  for (const cr of crs) {
    const spec = cr['spec']
    const version = textOf(spec, 'apiVersion')
    const [, major = '', minor = '', patch = ''] = SEMANTIC.exec(version) ?? []
    if (major === '') continue
    const family = `${textOf(spec, 'organization')}\n${textOf(spec, 'basePath').replace(version, '')}`
    const order = [major, minor, patch].map(Number)
    for (const alias of [`v${major}`, `v${major}.${minor}`]) {
      const key = `${family}\n${alias}`
      const known = latest.get(key)
      if (known === undefined || isLater(order, known.order)) latest.set(key, { cr, alias, order })
    }
  }
  const aliases = new Map<KubernetesObject, string[]>()
  for (const { cr, alias } of latest.values()) aliases.set(cr, [...(aliases.get(cr) ?? []), alias])
  return aliases
}

function isLater(a: readonly number[], b: readonly number[]): boolean {
  for (const [index, value] of a.entries()) {
    const other = b[index] ?? 0
    if (value !== other) return value > other
  }
  return false
}
