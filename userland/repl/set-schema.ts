/** What a set is to everybody who has to do with it: its primary, its backups, the command line. */
import { z } from 'zod';

export const setNameSchema = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/);

export const ruleSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('include'), pattern: z.string().min(1).max(1024) }),
  z.strictObject({ kind: z.literal('exclude'), pattern: z.string().min(1).max(1024) }),
  z.strictObject({ kind: z.literal('excludeProcess'), pattern: z.string().min(1).max(1024) }),
  z.strictObject({ kind: z.literal('maxSize'), bytes: z.int().positive() }),
]);
export type Rule = z.infer<typeof ruleSchema>;

export const modes = ['async', 'durable', 'copy'] as const;

/** As a backup knows it, which may have to replicate it one day. */
export const sharedSetSchema = z.strictObject({
  id: z.int().min(1).max(0xffff_fffe),
  name: setNameSchema,
  mode: z.enum(modes).optional(),
  rules: z.array(ruleSchema).max(256).optional(),
});
export type SharedSet = z.infer<typeof sharedSetSchema>;
