// An adapter for vectors/run.py that knows one message: node vectors/adapters/example.js
const number = (value) => (value < 2n ** 53n ? Number(value) : value.toString());

const decoders = {
  // by direction, type and schema; these are yours to write
  "request 1 0": (body) => {
    if (body.length !== 8) throw new Error(`CLIENT: got ${body.length} bytes, 8 are needed`);
    return { type: "CLIENT", fields: { client_id: number(body.readBigUInt64LE(0)) } };
  },
};

require("readline").createInterface({ input: process.stdin }).on("line", (text) => {
  const { id, direction, schema, hex } = JSON.parse(text);
  const frame = Buffer.from(hex, "hex");
  try {
    if (frame.length !== 8 + 8 * frame.readUInt32LE(0)) throw new Error("the frame is not whole");
    const decoder = decoders[`${direction} ${frame[4]} ${schema}`];
    if (!decoder) throw new Error(`${direction} of type ${frame[4]}, schema ${schema} is unknown`);
    console.log(JSON.stringify({ id, message: decoder(frame.subarray(8)) }));
  } catch (error) {
    console.log(JSON.stringify({ id, error: error.message }));
  }
});
