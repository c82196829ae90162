// The server of one peer in a process of its own: node serve.mjs PEER FOLDER
const [, , name, folder] = process.argv;
const { serve } = await import(`./${name}.mjs`);
console.log(await serve(folder));
process.on("message", () => process.send(process.cpuUsage()));
process.on("disconnect", () => process.exit(0));
