import { migrateData } from "./database.mjs";
import { dataDirectory } from "./settings.mjs";

/** The MIGRATE hook: runs before a new version serves, and may be run again at any time. */
try {
  const { before, after } = migrateData(dataDirectory(process.env));
  console.log(before === after ? `schema ${after}: nothing to do` : `schema ${before} -> ${after}`);
} catch (error) {
  console.error(`shop: migration failed, the data is as it was: ${error.message}`);
  process.exitCode = 1;
}
