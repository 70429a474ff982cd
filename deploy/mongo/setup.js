// Makes the replica set of one node and Saarthi's user, who may use its database alone. Run again it
// changes only the password, to that of the file. Secrets are read from files: never arguments.

const fs = require("fs");
const folder = process.env.SETUP_SECRETS || "/run/secrets";
const host = process.env.SETUP_HOST || "mongo:27017";
const secret = (name) => fs.readFileSync(`${folder}/${name}`, "utf8").trim();

const admin = connect(`mongodb://${host}/admin?directConnection=true`);
admin.auth("root", secret("mongo_root_password"));

try {
  admin.adminCommand({ replSetGetStatus: 1 });
} catch (error) {
  if (error.codeName !== "NotYetInitialized") throw error;
  admin.adminCommand({ replSetInitiate: { _id: "rs0", members: [{ _id: 0, host }] } });
}
for (let tries = 0; !admin.hello().isWritablePrimary; tries += 1) {
  if (tries > 600) throw new Error("the replica set has no primary after a minute");
  sleep(100);
}

const roles = [
  { role: "readWrite", db: "saarthi" },
  { role: "dbAdmin", db: "saarthi" },
];
const pwd = secret("mongo_saarthi_password");
if (admin.getUser("saarthi")) admin.updateUser("saarthi", { pwd, roles });
else admin.createUser({ user: "saarthi", pwd, roles });
print("the store is ready");
