/** The CA's key as a file, to be taken to another node or a safe place. */
import { existsSync } from 'node:fs';
import { z } from 'zod';
import { writeAtomically } from '../common/atomic-file.js';
import { ntsError } from '../common/errors.js';
import { readSecret } from '../common/secret-file.js';
import type { Authority } from './authority.js';
import { type CaFile, isKeyOf } from './identity.js';
import { keyFromPem } from './keys.js';
import type { LocalNode } from './local-node.js';

const schema = z.strictObject({
  format: z.literal(1),
  /** SHA-256 of the CA's certificate. */
  cluster: z.string().max(64),
  /** PKCS #8, encrypted where a passphrase was given. */
  key: z.string().max(20_000),
  lifetime: z.int().positive(),
});

/** Never over another file. */
export async function writeCaKey(
  local: LocalNode,
  file: string,
  passphrase: string | null,
): Promise<void> {
  const { key, lifetime } = await local.requireCa("exporting the CA's key");
  const encryption = passphrase === null ? {} : { cipher: 'aes-256-cbc', passphrase };
  const pem = key.export({ type: 'pkcs8', format: 'pem', ...encryption }).toString();
  const content = { format: 1, cluster: local.cluster.fingerprint, key: pem, lifetime };
  if (existsSync(file)) throw ntsError('NTS_ERR_FILE_WRITE', { file, why: 'it exists already' });
  await writeAtomically(file, (handle) =>
    handle.writeFile(`${JSON.stringify(content, null, 2)}\n`),
  );
}

export async function readCaKey(
  local: LocalNode,
  file: string,
  passphrase: string | null,
): Promise<CaFile> {
  const secret = await readSecret(file);
  secret.requirePrivate();
  let content, key;
  try {
    content = schema.parse(JSON.parse(secret.text));
    key = keyFromPem(content.key, passphrase ?? undefined);
  } catch (error) {
    const why = content?.key.includes('ENCRYPTED')
      ? 'its passphrase is missing or another one; see --passphrase-file'
      : "it is damaged, or holds no CA's key";
    throw ntsError('NTS_ERR_FILE_READ', { file, why }, { cause: error });
  }
  if (content.cluster !== local.cluster.fingerprint || !isKeyOf(key, local.ca)) {
    const what = `${file} holds the key of another cluster's CA`;
    throw ntsError('NTS_ERR_WRONG_CLUSTER', { what });
  }
  return { key, lifetime: content.lifetime };
}

/** First the others may ask this node no more, then the key goes. */
export async function dropCaKey(local: LocalNode, authority: Authority): Promise<void> {
  authority.setAuthority(local.id, false);
  await local.folder.removeCa();
}
