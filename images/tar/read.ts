import type { TarVisitor } from "../entry.ts";

export type { TarVisitor };
