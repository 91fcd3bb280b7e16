-- Wireshark dissector for the dqlite wire protocol, for clients and servers and between nodes.
-- Made by dqlite-wire $VERSION (dqlite-wire dissector); do not edit, make it again.
--
-- Runs under Lua 5.2 to 5.4 (Wireshark 3.x and 4.x). Put it into the folder of personal Lua plugins
-- (Help, About Wireshark, Folders). Connections are found by their handshake on any port; those recorded
-- without it with -d tcp.port==PORT,dqlite, or the preference dqlite.port.

-- TABLES

-- ---------------------------------------------------------------------------------------------------------
-- How it works
--
-- Wireshark calls `dissector` with the bytes of one segment, or of several put together. Each call walks
-- over the units in them: the handshake of a client, a frame, or behind CONNECT a message between nodes. The
-- first time a packet is seen (`pinfo.visited` is false) packets come in order, and what depends on order is
-- found out: which side is the client, which request an answer belongs to, where raft begins. It is kept for
-- each unit in `units`, by packet, place and size of the buffer, since later calls come in any order. A tree is
-- only drawn if Wireshark asks for one; on the first pass of `tshark -2` it does not.
--
-- Reading: a cursor `c` has `tvb` (one unit), `pos`, `stop` and `tree`. A reader of a kind of field takes the
-- cursor, the field and the message's name, adds to the tree, and moves on. What does not fit calls `fail`,
-- which ends the unit with an expert info; nothing else catches errors, so that ours are seen.

local dqlite = Proto("dqlite", "dqlite wire protocol")

local F = {}  -- abbreviation -> ProtoField

local function declare(abbr, make, title, ...)
  if F[abbr] == nil then
    F[abbr] = make("dqlite." .. abbr, title or abbr, ...)
  end
end

local BY_KIND = {
  u64 = ProtoField.uint64, u32 = ProtoField.uint32, u16 = ProtoField.uint16, u8 = ProtoField.uint8,
  last_word = ProtoField.uint64, size = ProtoField.uint64, page_count = ProtoField.uint32,
  flag = ProtoField.bool, text = ProtoField.string, raft_text = ProtoField.string,
  unaligned_text = ProtoField.string, page_numbers = ProtoField.uint64,
  format = ProtoField.uint64, marker = ProtoField.string,
}

local function declare_fields(prefix, fields)
  for _, field in ipairs(fields) do
    local abbr = prefix .. "." .. field.name
    if field.kind == "role" then
      declare(abbr, ProtoField.uint64, field.name, base.DEC, ROLES)
    elseif field.kind == "raft_role" then
      declare(abbr, ProtoField.uint8, field.name, base.DEC, RAFT_ROLES)
    elseif field.kind == "bits" then
      declare(abbr, field.bits == 1 and ProtoField.bool or ProtoField.uint64, field.name)
    elseif field.kind == "flag" then
      declare(abbr, ProtoField.bool, field.name)
    elseif BY_KIND[field.kind] then
      declare(abbr, BY_KIND[field.kind], field.name)
    end
  end
end

declare("handshake", ProtoField.uint64, "Handshake", base.HEX)
declare("words", ProtoField.uint32, "Words of the body")
declare("type", ProtoField.uint8, "Type")
declare("type_name", ProtoField.string, "Type name")
declare("schema", ProtoField.uint8, "Schema")
declare("reserved", ProtoField.uint16, "Reserved")
declare("direction", ProtoField.string, "Direction")
declare("request_in", ProtoField.framenum, "Request in", base.NONE, frametype.REQUEST)
declare("response_in", ProtoField.framenum, "Response in", base.NONE, frametype.RESPONSE)
declare("time", ProtoField.relative_time, "Time since the request")
declare("failure.name", ProtoField.string, "Name of the code")
for _, where in ipairs({"params", "rows"}) do
  declare(where .. ".count", ProtoField.uint64, "Count")
  declare(where .. ".value", ProtoField.string, "Value")
  declare(where .. ".type", ProtoField.string, "Value type")
  declare(where .. ".int", ProtoField.int64, "Integer")
  declare(where .. ".float", ProtoField.double, "Float")
end
declare("rows.column", ProtoField.string, "Column")
declare("rows.marker", ProtoField.string, "Marker")
for _, name in ipairs({"node_id", "address", "role"}) do
  local kind = ({node_id = ProtoField.uint64, address = ProtoField.string, role = ProtoField.uint64})[name]
  if name == "role" then
    declare("servers.role", kind, name, base.DEC, ROLES)
  else
    declare("servers." .. name, kind, name)
  end
end
declare("servers.count", ProtoField.uint64, "Nodes")
declare("files.count", ProtoField.uint64, "Files")
declare("files.name", ProtoField.string, "File")
declare("files.size", ProtoField.uint64, "Size")
declare("files.content", ProtoField.bytes, "Content")
declare("raft.type", ProtoField.uint8, "Type")
declare("raft.type_name", ProtoField.string, "Type name")
declare("raft.version", ProtoField.uint8, "Version")
declare("raft.header_size", ProtoField.uint64, "Header size")
declare("raft.entry.count", ProtoField.uint64, "Entries")
declare("raft.entry.index", ProtoField.uint64, "Index")
declare("raft.entry.term", ProtoField.uint64, "Term")
declare("raft.entry.type", ProtoField.string, "Entry type")
declare("raft.entry.command", ProtoField.string, "Command")
declare("raft.entry.size", ProtoField.uint32, "Size")
declare("unused", ProtoField.bytes, "Unused")
for _, message in pairs(REQUESTS) do declare_fields(message.name:lower(), message.fields) end
for _, message in pairs(RESPONSES) do declare_fields(message.name:lower(), message.fields) end
for _, message in pairs(RAFT) do declare_fields("raft." .. message.name:lower(), message.fields) end

-- ConfigurationNode -> configuration: the names of filters are those of decode
local PART_NAMES = {ConfigurationNode = "configuration"}
local function part_name(name) return "raft." .. (PART_NAMES[name] or name:lower()) end
for _, part in pairs(COMMANDS) do declare_fields(part_name(part.name), part.fields) end
for _, part in pairs(PARTS) do declare_fields(part_name(part.name), part.fields) end

dqlite.fields = F

local damaged = ProtoExpert.new("dqlite.damaged", "Damaged", expert.group.MALFORMED, expert.severity.ERROR)
local failed = ProtoExpert.new("dqlite.failed", "Request failed", expert.group.RESPONSE_CODE, expert.severity.NOTE)
local unpaired = ProtoExpert.new("dqlite.unpaired", "No request", expert.group.SEQUENCE, expert.severity.NOTE)
dqlite.experts = {damaged, failed, unpaired}

dqlite.prefs.port = Pref.range("TCP ports", "", "Ports of nodes, for connections recorded without their handshake", 65535)

-- ---------------------------------------------------------------------------------------------------------
-- Reading bytes

local Damage = {}
Damage.__index = Damage

local function fail(problem) error(setmetatable({problem = problem}, Damage), 0) end

local function take(c, size, what)
  if size < 0 or c.pos + size > c.stop then
    fail(string.format("%s: %.0f bytes are needed, %.0f are left", what, size, math.max(c.stop - c.pos, 0)))
  end
  local range = c.tvb(c.pos, size)
  c.pos = c.pos + size
  return range
end

local function add(c, abbr, range, ...)
  if c.tree then return c.tree:add_le(F[abbr], range, ...) end
end

-- A word as a number; what is beyond 2^53 no reader needs exactly, it fails on its bounds.
local function number(range)
  if range:len() <= 4 then return range:le_uint() end
  local low, high = range(0, 4):le_uint(), range(4, 4):le_uint()
  return high * 4294967296 + low
end

-- Text as decode's JSON has it: bytes that are no UTF-8 as \xNN.
local function utf8_text(bytes)
  if not bytes:find("[\128-\255]") then return bytes end
  local out, i = {}, 1
  while i <= #bytes do
    local b = bytes:byte(i)
    local size = b < 0x80 and 1 or b >= 0xC2 and b < 0xE0 and 2 or b >= 0xE0 and b < 0xF0 and 3
      or b >= 0xF0 and b < 0xF5 and 4 or 0
    local valid = size > 0 and i + size - 1 <= #bytes
    for k = 1, size - 1 do
      local next_byte = bytes:byte(i + k)
      if not next_byte or next_byte < 0x80 or next_byte > 0xBF then valid = false end
    end
    if valid and size > 2 then
      local second = bytes:byte(i + 1)
      if b == 0xE0 and second < 0xA0 or b == 0xED and second > 0x9F
        or b == 0xF0 and second < 0x90 or b == 0xF4 and second > 0x8F then valid = false end
    end
    if valid then
      out[#out + 1] = bytes:sub(i, i + size - 1)
      i = i + size
    else
      out[#out + 1] = string.format("\\x%02x", b)
      i = i + 1
    end
  end
  return table.concat(out)
end

-- All bytes of the cursor's unit: to find a NUL in a string costs much less than to make a range for it.
local function raw_of(c)
  if not c.raw then c.raw = c.tvb:raw() end
  return c.raw
end

-- The bytes of a text up to its NUL, and how many it takes with its padding.
local function find_text(c, what, aligned)
  local raw, rest = raw_of(c), c.stop - c.pos
  local nul = raw:find("\0", c.pos + 1, true)
  local size = nul and nul - 1 - c.pos
  if not size or size >= rest then fail(what .. ": no NUL") end
  local whole = aligned and size + 8 - size % 8 or size + 1
  if whole > rest then fail(what .. ": padding is cut off") end
  return raw:sub(c.pos + 1, nul - 1), whole
end

local function read_text(c, abbr, what, aligned, most)
  local bytes, whole = find_text(c, what, aligned)
  if most and #bytes > most then fail(string.format("%s: got %.0f bytes, at most %.0f", what, #bytes, most)) end
  local text = utf8_text(bytes)
  if abbr and c.tree then c.tree:add(F[abbr], c.tvb(c.pos, whole), text) end
  if not c.shown and text ~= "" then c.shown = text end
  c.pos = c.pos + whole
  return text
end

-- The shortest decimal that is the same double, written as Python and JSON write it.
local function float_text(value)
  if value ~= value then return '{"float":"nan"}' end
  if value == math.huge then return '{"float":"inf"}' end
  if value == -math.huge then return '{"float":"-inf"}' end
  local digits
  -- what 15 digits tell is shorter if it ends in zeros; subnormal numbers have fewer digits than that
  for precision = math.abs(value) < 2.3e-308 and 0 or 14, 16 do
    digits = string.format("%." .. precision .. "e", value)
    if tonumber(digits) == value then break end
  end
  local sign, mantissa, exponent = digits:match("^(-?)([%d%.]+)e([+-]%d+)$")
  mantissa, exponent = mantissa:gsub("%.", ""):gsub("(%d)0+$", "%1"), tonumber(exponent)
  local text
  if exponent < -4 or exponent >= 16 then
    text = mantissa:sub(1, 1) .. (#mantissa > 1 and "." .. mantissa:sub(2) or "")
    text = text .. string.format("e%s%02d", exponent < 0 and "-" or "+", math.abs(exponent))
  elseif exponent < 0 then
    text = "0." .. string.rep("0", -exponent - 1) .. mantissa
  elseif #mantissa <= exponent + 1 then
    text = mantissa .. string.rep("0", exponent + 1 - #mantissa) .. ".0"
  else
    text = mantissa:sub(1, exponent + 1) .. "." .. mantissa:sub(exponent + 2)
  end
  return sign .. text
end

-- ---------------------------------------------------------------------------------------------------------
-- Values of rows and parameters

local MAX_SHOWN_BLOB = 4194304  -- bytes of a blob that are written as hex

-- Letters of Python's struct -> bytes, and the method of a range that reads them
local NUMBERS = {
  b = {1, "le_int"}, h = {2, "le_int"}, i = {4, "le_int"}, l = {4, "le_int"}, q = {8, "le_int64"},
  B = {1, "le_uint"}, H = {2, "le_uint"}, I = {4, "le_uint"}, L = {4, "le_uint"}, Q = {8, "le_uint64"},
  f = {4, "le_float", is_float = true}, d = {8, "le_float", is_float = true},
}
for _, kind in pairs(VALUES) do
  local letter = kind.form:match("%a")
  kind.number = kind.form ~= "text" and kind.form ~= "blob" and letter ~= "x" and NUMBERS[letter] or nil
end

local SHOWN = {}  -- "params", "rows" -> the fields of a value
for _, where in ipairs({"params", "rows"}) do
  SHOWN[where] = {value = F[where .. ".value"], type = F[where .. ".type"], int = F[where .. ".int"],
    float = F[where .. ".float"]}
end

local function blob_text(c, size)
  local shown = math.min(size, MAX_SHOWN_BLOB)
  local hex = shown > 0 and c.tvb(c.pos, shown):bytes():tohex(true) or ""
  return '{"blob":"' .. hex .. (shown < size and "…" or "") .. '"}'
end

-- What a word of numbers is shown as, with the sibling that has it as a number.
local function number_text(kind, range, shown)
  local read = kind.number
  if not read then return "null" end
  if kind.bool then
    local set = range:le_uint64() ~= UInt64(0)
    return set and "true" or "false", shown.int, Int64(set and 1 or 0)
  end
  local part = read[1] == 8 and range or range(0, read[1])
  local value = part[read[2]](part)
  if read.is_float then
    if value == math.floor(value) and math.abs(value) < 1e15 and value ~= 0 then
      return string.format("%.1f", value), shown.float, value
    end
    return float_text(value), shown.float, value
  end
  local text = type(value) == "number" and string.format("%.0f", value) or tostring(value)
  if read[2] == "le_uint64" then value = part:le_int64() end
  return text, shown.int, type(value) == "number" and Int64.new(value) or value
end

-- Read a value of a type; add it below the cursor's tree as `where`.value and its siblings.
local function read_value(c, where, code)
  local kind = VALUES[code]
  if not kind then fail("value type " .. code) end
  local start, tree, shown = c.pos, c.tree, SHOWN[where]
  local range, text, typed, value
  if kind.form == "text" then
    local bytes, whole = find_text(c, "value", true)
    if tree then text, range = utf8_text(bytes), c.tvb(start, whole) end
    c.pos = start + whole
  elseif kind.form == "blob" then
    local size = number(take(c, 8, "blob"))
    local padded = math.floor((size + 7) / 8) * 8
    if size > c.stop - c.pos or padded > c.stop - c.pos then
      fail(string.format("blob: got %.0f bytes, %.0f are left", size, c.stop - c.pos))
    end
    if tree then text, range = blob_text(c, size), c.tvb(start, 8 + padded) end
    c.pos = c.pos + padded
  else
    if c.stop - start < 8 then take(c, 8, "value") end
    c.pos = start + 8
    if tree then
      range = c.tvb(start, 8)
      text, typed, value = number_text(kind, range, shown)
    end
  end
  if tree then
    local item = tree:add(shown.value, range, text)
    item:add(shown.type, range, kind.name)
    if typed then item:add(typed, range, value) end
  end
end

local function nibbles(bytes, at, count)
  local codes = {}
  for i = 0, count - 1 do
    local byte = bytes:byte(at + math.floor(i / 2) + 1)
    codes[i + 1] = i % 2 == 0 and byte % 16 or math.floor(byte / 16)
  end
  return codes
end

local DONE, PART = string.rep("\255", 8), string.rep("\238", 8)

-- ---------------------------------------------------------------------------------------------------------
-- Readers of the kinds of fields

local READ = {}

local function read_number(c, field, name)
  local range = take(c, field.size, field.name)
  add(c, name .. "." .. field.name, range)
  local value = number(range)
  if field.least and value < field.least then
    fail(string.format("%s: got %.0f, at least %.0f", field.name, value, field.least))
  end
  if field.most and value > field.most then
    fail(string.format("%s: got %.0f, at most %.0f", field.name, value, field.most))
  end
  return value
end

READ.u64, READ.u32, READ.u16, READ.u8 = read_number, read_number, read_number, read_number
READ.role, READ.raft_role, READ.flag = read_number, read_number, read_number

function READ.text(c, field, name) return read_text(c, name .. "." .. field.name, field.name, true, field.most) end
READ.raft_text = READ.text
function READ.unaligned_text(c, field, name)
  return read_text(c, name .. "." .. field.name, field.name, false, field.most)
end

function READ.unused(c, field)
  if field.size > 0 then add(c, "unused", take(c, field.size, field.name)) end
end
function READ.reserved(c, field)
  local range = take(c, 8, field.name)
  add(c, "unused", range)
  if number(range) ~= 0 then fail(string.format("%s: got %.0f, only 0 is allowed", field.name, number(range))) end
end
function READ.ignored(c, field) add(c, "unused", take(c, field.size, field.name)) end
READ.padding = READ.ignored
function READ.all_unused(c, field)
  if c.stop > c.pos then add(c, "unused", take(c, c.stop - c.pos, field.name)) end
end

function READ.params(c)
  if c.pos == c.stop then return end
  local start = c.pos
  local size = c.schema == 1 and 4 or 1
  local count = take(c, size, "params"):le_uint()
  local types = take(c, count, "types")
  local padded = math.floor((size + count + 7) / 8) * 8
  take(c, padded - size - count, "types")
  local outer = c.tree
  if outer then
    c.tree = outer:add(dqlite, c.tvb(start, c.stop - start), string.format("Parameters: %.0f", count))
    c.tree:add_le(F["params.count"], c.tvb(start, size))
  end
  local codes = types:len() > 0 and types:raw() or ""
  for i = 1, count do
    local kind = VALUES[codes:byte(i)]
    if kind and not kind.in_params then fail("parameters cannot be of the type " .. kind.name) end
    read_value(c, "params", codes:byte(i))
  end
  c.tree = outer
end

local function add_count(c, where)
  local range = take(c, 8, "count")
  add(c, where .. ".count", range)
  return range
end

-- ROWS: `names` reads the columns, `rows` everything behind them
function READ.names(c)
  c.columns = number(add_count(c, "rows"))
  if c.columns * 8 > c.stop - c.pos then fail(string.format("columns: got %.0f", c.columns)) end
  c.names = {}
  for i = 1, c.columns do c.names[i] = read_text(c, "rows.column", "column", true) end
end

function READ.types() end

function READ.rows(c)
  local header = math.floor((c.columns + 15) / 16) * 8
  local outer, row, raw = c.tree, 0, raw_of(c)
  while true do
    if c.stop - c.pos < 8 then fail("rows: no marker") end
    local word = raw:sub(c.pos + 1, c.pos + 8)
    if word == DONE or word == PART then break end
    if c.columns == 0 then fail("rows: no columns") end
    row = row + 1
    local start = c.pos
    if c.stop - start < header then take(c, header, "types") end
    local codes = nibbles(raw, start, c.columns)
    c.pos = start + header
    if outer then c.tree = outer:add(dqlite, c.tvb(start, 8), string.format("Row %.0f", row)) end
    for i = 1, c.columns do read_value(c, "rows", codes[i]) end
    if outer then c.tree:set_len(c.pos - start) end
  end
  c.tree, c.row_count = outer, row
end

function READ.marker(c)
  local range = take(c, 8, "marker")
  if c.tree then c.tree:add(F["rows.marker"], range, range:raw() == DONE and "DONE" or "PART") end
end

function READ.nodes(c)
  local count = number(add_count(c, "servers"))
  if count * 16 > c.stop - c.pos then fail(string.format("nodes: got %.0f", count)) end
  local with_roles = c.format ~= 0
  for _ = 1, count do
    add(c, "servers.node_id", take(c, 8, "node_id"))
    read_text(c, "servers.address", "address", true)
    if with_roles then add(c, "servers.role", take(c, 8, "role")) end
  end
end

function READ.files(c)
  local count = number(add_count(c, "files"))
  if count * 16 > c.stop - c.pos then fail(string.format("files: got %.0f", count)) end
  for _ = 1, count do
    read_text(c, "files.name", "name", true)
    local range = take(c, 8, "size")
    add(c, "files.size", range)
    local size = number(range)
    if size > c.stop - c.pos then fail(string.format("size: got %.0f, %.0f are left", size, c.stop - c.pos)) end
    if size > 0 then add(c, "files.content", take(c, size, "content")) end
  end
end

local function read_fields(c, name, fields)
  for _, field in ipairs(fields) do
    if field.since <= c.schema and not (field.kind == "bits") then
      READ[field.kind](c, field, name)
    end
  end
end

-- ---------------------------------------------------------------------------------------------------------
-- Between nodes

local raft_fields

function READ.last_word(c, field, name)
  if c.pos >= c.header_end then return end
  local range = take(c, 8, field.name)
  add(c, name .. "." .. field.name, range)
  c.words[field.name] = range
end

local function read_bits(c, field, name)
  local range = c.words[field.of]
  if not range or not c.tree then return end
  local fits = #field.versions == 0
  for _, version in ipairs(field.versions) do fits = fits or version == c.version end
  if not fits then return end
  local bytes = range(math.floor(field.shift / 8), field.bits == 1 and 1 or field.bits / 8)
  local value = bytes:le_uint()
  if field.bits == 1 then
    value = math.floor(value / 2 ^ (field.shift % 8)) % 2 == 1
    c.tree:add(F[name .. "." .. field.name], bytes, value)
  else
    c.tree:add(F[name .. "." .. field.name], bytes, UInt64(value))
  end
end

-- A cursor over a part of the same unit, with a tree of its own.
local function inner(c, size, title)
  if size > c.stop - c.pos then fail(string.format("%s: got %.0f bytes, %.0f are left", title, size, c.stop - c.pos)) end
  local made = {tvb = c.tvb, raw = raw_of(c), pos = c.pos, stop = c.pos + size, header_end = c.pos + size, words = {},
    schema = 0, version = c.version, sizes = {}}
  if c.tree and size > 0 then made.tree = c.tree:add(dqlite, c.tvb(c.pos, size), title) end
  c.pos = c.pos + size
  return made
end

local function read_part(c, part)
  raft_fields(c, part_name(part.name), part.fields)
end

function raft_fields(c, name, fields)
  for _, field in ipairs(fields) do
    if field.kind == "bits" then
      read_bits(c, field, name)
    else
      local value = READ[field.kind](c, field, name)
      if field.name == "prev_log_index" then c.before = value end
      if field.name == "page_size" then c.page_size = value end
    end
  end
end

function READ.entry_heads(c)
  local range = take(c, 8, "entries")
  add(c, "raft.entry.count", range)
  local count = number(range)
  if count * 16 > c.header_end - c.pos then fail(string.format("entries: got %.0f", count)) end
  c.heads = {}
  for i = 1, count do c.heads[i] = take(c, 16, "entry") end
end

function READ.entries(c)
  for i, head in ipairs(c.heads) do
    local code, size = head(8, 1):le_uint(), head(12, 4):le_uint()
    local index = c.before + i
    local entry = inner(c, size, string.format("Entry %.0f", index))
    if entry.tree then
      entry.tree:add(F["raft.entry.index"], head, UInt64(index % 4294967296, math.floor(index / 4294967296)))
      entry.tree:add_le(F["raft.entry.term"], head(0, 8))
      entry.tree:add(F["raft.entry.type"], head(8, 1), ENTRIES[code] or "unknown")
      entry.tree:add_le(F["raft.entry.size"], head(12, 4))
    end
    if ENTRIES[code] == "COMMAND" then
      if size < 8 then fail(string.format("command: got %.0f bytes", size)) end
      local command = COMMANDS[entry.tvb(entry.pos + 1, 1):le_uint()]
      if not command or entry.tvb(entry.pos, 1):le_uint() ~= 1 then fail("command: unknown format or type") end
      if entry.tree then
        entry.tree:append_text(" " .. command.name:upper())
        entry.tree:add(F["raft.entry.command"], entry.tvb(entry.pos + 1, 1), command.name:upper())
      end
      read_part(entry, command)
    elseif ENTRIES[code] == "CHANGE" then
      read_part(entry, PARTS.Configuration)
    elseif ENTRIES[code] == "BARRIER" then
      read_part(entry, PARTS.Barrier)
    else
      fail("entry type " .. code)
    end
    if entry.pos ~= entry.stop then fail(string.format("entry: %.0f bytes behind the last field", entry.stop - entry.pos)) end
  end
end

function READ.command_header(c) take(c, 8, "command") end

function READ.format(c, field, name)
  local range = take(c, field.size, "format")
  if number(range) ~= 1 then fail("format " .. number(range)) end
end

function READ.page_count(c)
  c.page_count = take(c, 4, "pages"):le_uint()
end

function READ.page_numbers(c, field, name)
  if c.page_count * (8 + c.page_size) ~= c.stop - c.pos then
    fail(string.format("pages: got %.0f of %.0f bytes, %.0f are left", c.page_count, c.page_size, c.stop - c.pos))
  end
  for _ = 1, c.page_count do add(c, name .. "." .. field.name, take(c, 8, field.name)) end
end

function READ.pages(c) take(c, c.stop - c.pos, "pages") end

function READ.size(c, field, name)
  local range = take(c, 8, field.name)
  add(c, name .. "." .. field.name, range)
  c.sizes[field.of] = number(range)
end

function READ.content(c, field) take(c, c.sizes[field.name], field.name) end

function READ.configuration(c)
  local size = take(c, 8, "configuration")
  local part = inner(c, number(size), "Configuration")
  read_part(part, PARTS.Configuration)
  if part.pos ~= part.stop then fail("configuration: bytes behind the last field") end
end

function READ.raft_nodes(c)
  local count = number(take(c, 8, "nodes"))
  if count * 10 > c.stop - c.pos then fail(string.format("nodes: got %.0f", count)) end
  for _ = 1, count do read_part(c, PARTS.ConfigurationNode) end
end

function READ.snapshot(c)
  local part = inner(c, c.stop - c.pos, "Snapshot")
  read_part(part, PARTS.Snapshot)
  if part.pos ~= part.stop then fail("snapshot: bytes behind the last field") end
end

function READ.databases(c)
  local count = number(take(c, 8, "databases"))
  if count * 24 > c.stop - c.pos then fail(string.format("databases: got %.0f", count)) end
  for _ = 1, count do read_part(c, PARTS.Database) end
end

local MAX_RAFT_HEADER, MAX_RAFT_PAYLOAD = 4194304, 524288000

-- The bytes of the message at an offset; nil and how many bytes show it, or false if none begins there.
local function raft_size(tvb, at, stop)
  if stop - at < 16 then return nil, 16 end
  local code, size = tvb(at, 1):le_uint(), number(tvb(at + 8, 8))
  local message = RAFT[code]
  if not message or tvb(at + 1, 1):le_uint() ~= 0 or tvb(at + 3, 1):le_uint() ~= 0 or tvb(at + 4, 4):le_uint() ~= 0 then
    return false
  end
  if size < 16 or size > MAX_RAFT_HEADER or size % 8 ~= 0 then return false end
  local payload = 0
  if message.name == "APPEND_ENTRIES" or message.name == "INSTALL_SNAPSHOT" then
    if size < 48 then return false end
    if stop - at < 16 + size then return nil, 16 + size end
    if message.name == "APPEND_ENTRIES" then
      local count = number(tvb(at + 48, 8))
      if size ~= 48 + 16 * count then return false end
      for i = 0, count - 1 do payload = payload + tvb(at + 56 + 16 * i + 12, 4):le_uint() end
    else
      local configuration = number(tvb(at + 48, 8))
      if size ~= 48 + configuration and size ~= 56 + configuration then return false end
      payload = number(tvb(at + 56 + configuration, 8))
    end
  elseif size > 40 then
    return false
  end
  if payload > MAX_RAFT_PAYLOAD then return false end
  return 16 + size + payload
end

-- ---------------------------------------------------------------------------------------------------------
-- Connections: what the first pass finds out

local tcp_stream, tcp_seq, tcp_ack = Field.new("tcp.stream"), Field.new("tcp.seq"), Field.new("tcp.ack")
local streams = {}  -- stream -> what is known of it
local units = {}  -- packet -> place in it -> what is known of the unit there

function dqlite.init()
  streams, units = {}, {}
end

local function endpoint(address, port) return tostring(address) .. " " .. port end

-- Fields can be asked for while a tree is made, and on a first pass without one (plain tshark, tshark -2, much of
-- the time Wireshark) they have nothing. So a connection is known by its endpoints, and by its number if there is
-- one: endpoints that are used again have another.
local function stream_of(pinfo, opened)
  local from, to = endpoint(pinfo.src, pinfo.src_port), endpoint(pinfo.dst, pinfo.dst_port)
  local key = from < to and from .. " " .. to or to .. " " .. from
  local field = tcp_stream()
  local number_ = field and field.value
  local stream = streams[key]
  local another = stream and not pinfo.visited and (opened or number_ and stream.number and number_ ~= stream.number)
  if not stream or another then
    stream = {waiting = {}, first = 1, last = 0, early = {}, seen = {}}
    streams[key] = stream
  end
  stream.number = stream.number or number_
  return stream
end

-- Whether a frame's header may begin at an offset, of a request or of an answer.
local function is_header(tvb, at, types)
  local words, code = tvb(at, 4):le_uint(), tvb(at + 4, 1):le_uint()
  if types == REQUESTS and code == SPECIAL.leader_request and words ~= 1 then return false end
  return types[code] ~= nil and tvb(at + 5, 1):le_uint() <= 1 and tvb(at + 6, 2):le_uint() == 0
    and words > 0 and words < 2 ^ 27
end

local HANDSHAKES = {[VERSIONS.current] = "1", [VERSIONS.legacy] = "legacy"}

-- The version in the handshake that begins at an offset, nil if there is none. Other versions than the two are
-- small numbers; as a header they would be that of a LEADER of two words or more, which nobody sends. What
-- tells a handshake from the type word of a message between nodes is what follows.
local function version_at(tvb, at, stop)
  local known = HANDSHAKES[tvb(at, 8):bytes():tohex(true)]
  local number_ = tvb(at, 1):le_uint()
  local small = number_ > 0 and number_ <= 64 and tvb(at + 1, 3):le_uint() == 0 and tvb(at + 4, 4):le_uint() == 0
  if not known and not small then return nil end
  if stop - at >= 16 and not is_header(tvb, at + 8, REQUESTS) then return nil end
  -- a FAILURE 1 (words, type 0, and the code) has text where the LEADER that it looks like has zeros
  if stop - at >= 24 and tvb(at + 12, 1):le_uint() == SPECIAL.leader_request
    and number(tvb(at + 16, 8)) ~= 0 then return nil end
  return known or string.format("%d", number_)
end

local function ports_have(port)
  local ranges = dqlite.prefs.port
  for low, high in tostring(ranges or ""):gmatch("(%d+)%-?(%d*)") do
    local first = tonumber(low)
    local last = high ~= "" and tonumber(high) or first
    if port >= first and port <= last then return true end
  end
  return false
end

-- Which side of a connection without a handshake is the client: the one whose port is not the node's.
local function guess_client(stream, pinfo)
  local from, to = endpoint(pinfo.src, pinfo.src_port), endpoint(pinfo.dst, pinfo.dst_port)
  if ports_have(pinfo.src_port) and not ports_have(pinfo.dst_port) then
    stream.client = to
  elseif ports_have(pinfo.dst_port) and not ports_have(pinfo.src_port) then
    stream.client = from
  elseif pinfo.match_uint == pinfo.src_port and pinfo.match_uint ~= pinfo.dst_port then
    stream.client = to
  elseif pinfo.match_uint == pinfo.dst_port and pinfo.match_uint ~= pinfo.src_port then
    stream.client = from
  else
    stream.client = pinfo.src_port > pinfo.dst_port and from or to
  end
end

-- Whether a request may get an answer; the EMPTY of an INTERRUPT ends the query before it as well.
local function fits(stream, place, code)
  local head, following = stream.waiting[place], stream.waiting[place + 1]
  local order = ORDER[head.code]
  if not order then return code == SPECIAL.failure end
  return order.answers[code]
    or order.interrupts and code == SPECIAL.empty and following and following.code == SPECIAL.interrupt_request
end

-- The request that an answer belongs to: the first that may get it. Those before it have no answer, by the protocol
-- (HEARTBEAT) or because the recorder lost it.
local function head_for(stream, code)
  for place = stream.first, stream.last do
    if fits(stream, place, code) then
      for dropped = stream.first, place - 1 do stream.waiting[dropped] = nil end
      stream.first = place
      return stream.waiting[place]
    end
  end
end

local function pair_answer(stream, unit, head)
  unit.request_in, unit.format = head.packet, head.format
  unit.time = unit.at_time - head.at_time
  head.response_in = head.response_in or unit.packet
  local order = ORDER[head.code] or {}
  local function pop()
    stream.waiting[stream.first] = nil
    stream.first = stream.first + 1
  end
  if unit.code == SPECIAL.rows and order.rows and unit.part then return end
  pop()
  local following = stream.waiting[stream.first]
  if unit.code == SPECIAL.empty and order.interrupts and following and following.code == SPECIAL.interrupt_request then
    following.response_in = unit.packet
    pop()
  end
end

-- Answers come in the order of their requests. In a capture whose packets are out of order an answer may stand
-- before the end of its request: the packet that ends the request has then bytes that the answer acknowledges.
-- (If the request was lost by the recorder, none that comes later has.)
local function pair(stream, unit, tvb, at, size, pinfo)
  unit.packet, unit.at_time = pinfo.number, pinfo.rel_ts
  if unit.request then
    if unit.code == SPECIAL.connect_request then
      stream.raft = true
      return
    end
    if unit.code == SPECIAL.cluster_request and size >= 16 then unit.format = number(tvb(at + 8, 8)) end
    stream.last = stream.last + 1
    stream.waiting[stream.last] = unit
    local seq, early = tcp_seq(), stream.early
    stream.early = {}
    for _, answer in ipairs(early) do
      local behind = seq and answer.ack and answer.ack > seq.value
      local head = behind and head_for(stream, answer.code)
      if head then
        answer.unpaired = nil
        pair_answer(stream, answer, head)
      elseif behind then
        stream.early[#stream.early + 1] = answer
      end
    end
    return
  end
  unit.part = size >= 16 and tvb(at + size - 8, 8):raw() == PART
  local head = head_for(stream, unit.code)
  if head then
    pair_answer(stream, unit, head)
  else
    local ack = tcp_ack()
    unit.unpaired, unit.ack = true, ack and ack.value
    if #stream.early < 1000 then stream.early[#stream.early + 1] = unit end
  end
end

-- ---------------------------------------------------------------------------------------------------------
-- Drawing one unit

local function guarded(c, what, tree, read)
  local fine, problem = pcall(read)
  if fine then return true end
  if getmetatable(problem) ~= Damage then error(problem, 0) end
  if tree then tree:add_tvb_expert_info(damaged, c.tvb(0, c.tvb:len()), what .. ": " .. problem.problem) end
  return false
end

local function draw_handshake(tvb, at, tree, pinfo, unit)
  if tree then
    local item = tree:add(dqlite, tvb(at, 8), "dqlite handshake, version " .. unit.version)
    item:add_le(F.handshake, tvb(at, 8))
  end
  return "handshake"
end

local function add_pairing(item, range, unit)
  if unit.request then
    if unit.response_in then item:add(F.response_in, range, unit.response_in):set_generated() end
    return
  end
  if unit.request_in then
    item:add(F.request_in, range, unit.request_in):set_generated()
    local seconds = unit.time < 0 and math.ceil(unit.time) or math.floor(unit.time)
    local time = NSTime.new(seconds, math.floor((unit.time - seconds) * 1e9 + 0.5))
    item:add(F.time, range, time):set_generated()
  elseif unit.unpaired then
    item:add_proto_expert_info(unpaired, "An answer to a request that was not recorded")
  end
end

local function read_body(c, message, unit, size)
  local name = message.name:lower()
  if not unit.request and unit.code == SPECIAL.failure then
    -- half-built rows may stand in front: the text ends with the frame, the code stands before it
    local nul = -1
    for at = c.pos, c.stop - 16, 8 do
      if nul < at + 8 then
        local found = raw_of(c):find("\0", at + 9, true)
        if not found then break end
        nul = found - 1
      end
      if math.floor((nul + 8) / 8) * 8 == c.stop then
        if at > c.pos then add(c, "unused", c.tvb(c.pos, at - c.pos)) end
        c.pos = at
        break
      end
    end
  elseif not unit.request and unit.code == SPECIAL.leader and unit.legacy then
    read_text(c, "leader.address", "address", true)
    return
  elseif unit.request and unit.code == SPECIAL.assign_request and size == 16 then
    READ.u64(c, message.fields[1], name)
    return
  end
  read_fields(c, name, message.fields)
end

local function has_text(message)
  for _, field in ipairs(message.fields) do
    if field.kind == "text" then return true end
  end
  return false
end

-- A text on one line of the list of packets; bytes of a cut character are left out.
local function short(text)
  text = text:gsub("[%z\1-\32\127]+", " ")
  return #text <= 80 and text or text:sub(1, 79):gsub("[\192-\255][\128-\191]*$", "") .. "…"
end

-- What the list of packets says of a frame: its type, of a failure the code, else the first text in it.
local function summary(message, unit, tvb, at, size)
  local text = message and message.name or "type " .. unit.code
  if not unit.request and unit.code == SPECIAL.failure and size >= 24 then
    local c = {tvb = tvb(at, size):tvb(), pos = 8, stop = size, schema = 0}
    local code
    pcall(function()
      read_body(c, {name = message.name, fields = {}}, unit, size)
      code = number(c.tvb(c.pos, 8))
    end)
    if code then text = string.format("%s %.0f %s", text, code, CODES[code] or ""):gsub(" $", "") end
  elseif message and has_text(message) then
    local c = {tvb = tvb(at, size):tvb(), pos = 8, stop = size, schema = unit.schema, format = unit.format}
    guarded(c, message.name, nil, function() read_body(c, message, unit, size) end)
    if c.shown then text = text .. " " .. short(c.shown) end
  end
  return text
end

local function draw_frame(tvb, at, size, tree, pinfo, unit)
  local message = (unit.request and REQUESTS or RESPONSES)[unit.code]
  local text = summary(message, unit, tvb, at, size)
  if not tree then return text end
  local range = tvb(at, size)
  local item = tree:add(dqlite, range, string.format("dqlite %s %s", unit.request and "request" or "response", text))
  local c = {tvb = range:tvb(), pos = 8, stop = size, schema = unit.schema, tree = item, format = unit.format}
  item:add_le(F.words, range(0, 4))
  item:add_le(F.type, range(4, 1))
  item:add(F.type_name, range(4, 1), message and message.name or "type " .. unit.code):set_generated()
  item:add_le(F.schema, range(5, 1))
  item:add_le(F.reserved, range(6, 2))
  item:add(F.direction, range(0, 8), unit.request and "request" or "response"):set_generated()
  add_pairing(item, range(0, 8), unit)
  if not message then
    item:add_proto_expert_info(damaged, "Unknown type")
    return text
  end
  local known = false
  for _, schema in ipairs(message.schemas) do known = known or schema == unit.schema end
  if not known then
    item:add_proto_expert_info(damaged, "Unknown schema")
    return text
  end
  local whole = guarded(c, message.name, item, function()
    read_body(c, message, unit, size)
    if c.pos ~= c.stop then fail(string.format("%.0f bytes behind the last field", c.stop - c.pos)) end
  end)
  if not unit.request and unit.code == SPECIAL.failure and whole then
    local name = text:match("FAILURE %d+ (.+)$")
    if name then item:add(F["failure.name"], range(8, 8), name):set_generated() end
    item:add_proto_expert_info(failed, text)
  end
  return text
end

local function draw_raft(tvb, at, size, tree, pinfo, unit)
  local range = tvb(at, size)
  local message = RAFT[range(0, 1):le_uint()]
  local count = message.name == "APPEND_ENTRIES" and number(range(48, 8)) or 0
  local text = count > 0 and string.format("%s (%.0f)", message.name, count) or message.name
  if not tree then return text end
  local item = tree:add(dqlite, range, "dqlite raft " .. text)
  item:add_le(F["raft.type"], range(0, 1))
  item:add(F["raft.type_name"], range(0, 1), message.name):set_generated()
  item:add_le(F["raft.version"], range(2, 1))
  item:add_le(F["raft.header_size"], range(8, 8))
  local c = {tvb = range:tvb(), pos = 16, stop = size, tree = item, words = {}, sizes = {}, schema = 0,
    version = range(2, 1):le_uint(), header_end = 16 + number(range(8, 8))}
  guarded(c, message.name, item, function()
    raft_fields(c, "raft." .. message.name:lower(), message.fields)
    if c.pos ~= c.stop then fail(string.format("%.0f bytes behind the last field", c.stop - c.pos)) end
  end)
  return text
end

-- ---------------------------------------------------------------------------------------------------------
-- Walking over a segment

local MAX_FRAME = 2 ^ 30

-- Say what begins at an offset: its kind and size; nil and the bytes needed, if that cannot be told yet.
local function unit_at(stream, tvb, at, stop, pinfo)
  local from = endpoint(pinfo.src, pinfo.src_port)
  local unit = {}
  if stop - at < 8 then return nil, 8 - (stop - at) end
  local raft = stream.raft and from == stream.client
  if not raft and not stream.seen[from] and not (stream.client and from ~= stream.client) then
    local version = version_at(tvb, at, stop)
    if version then
      return {kind = "handshake", size = 8, version = version, from = from}
    end
  end
  if not stream.client then guess_client(stream, pinfo) end
  if not raft and not stream.seen[from] and from == stream.client and not stream.handshake then
    -- in the middle of a connection between nodes?
    local size = raft_size(tvb, at, stop)
    if size and (stop - at < size + 16 or raft_size(tvb, at + size, stop) ~= false) then
      raft, stream.raft = true, true
    end
  end
  if raft then
    local size, needed = raft_size(tvb, at, stop)
    if size == false then return {kind = "foreign", size = stop - at, from = from} end
    if not size or size > stop - at then return nil, (size or needed) - (stop - at) end
    return {kind = "raft", size = size, from = from}
  end
  local size = 8 + 8 * tvb(at, 4):le_uint()
  if size > MAX_FRAME or size == 8 then return {kind = "foreign", size = stop - at, from = from} end
  if size > stop - at then return nil, size - (stop - at) end
  unit = {kind = "frame", size = size, from = from, code = tvb(at + 4, 1):le_uint(), schema = tvb(at + 5, 1):le_uint()}
  unit.request = from == stream.client
  unit.legacy = stream.legacy
  return unit
end

local function learn(stream, unit, tvb, at, pinfo)
  stream.seen[unit.from] = true
  if unit.kind == "handshake" then
    stream.client, stream.handshake = unit.from, true
    stream.legacy = unit.version == "legacy"
  elseif unit.kind == "frame" then
    pair(stream, unit, tvb, at, unit.size, pinfo)
  end
end

local DRAW = {
  handshake = function(tvb, at, unit, tree, pinfo) return draw_handshake(tvb, at, tree, pinfo, unit) end,
  frame = function(tvb, at, unit, tree, pinfo) return draw_frame(tvb, at, unit.size, tree, pinfo, unit) end,
  raft = function(tvb, at, unit, tree, pinfo) return draw_raft(tvb, at, unit.size, tree, pinfo, unit) end,
  foreign = function(tvb, at, unit, tree)
    if tree then
      local item = tree:add(dqlite, tvb(at, unit.size), "dqlite: bytes that are no frame")
      item:add_proto_expert_info(damaged, "No frame begins here")
    end
    return "no frame"
  end,
}

function dqlite.dissector(tvb, pinfo, tree)
  local stop, at = tvb:reported_length_remaining(), 0
  if tvb:captured_len() < stop then return 0 end  -- cut by the recorder
  local stream = stream_of(pinfo)
  local known = units[pinfo.number]
  if not known then
    known = {}
    units[pinfo.number] = known
  end
  local texts = {}
  while at < stop do
    local place = string.format("%d:%d:%d", tvb:offset(), stop, at)
    local unit, needed = known[place], nil
    if not unit then
      unit, needed = unit_at(stream, tvb, at, stop, pinfo)
      if unit then
        known[place] = unit
        learn(stream, unit, tvb, at, pinfo)
      end
    end
    if not unit then
      pinfo.desegment_offset = at
      pinfo.desegment_len = stop - at < 8 and DESEGMENT_ONE_MORE_SEGMENT or needed
      break
    end
    texts[#texts + 1] = DRAW[unit.kind](tvb, at, unit, tree, pinfo)
    at = at + unit.size
  end
  if #texts > 0 then
    pinfo.cols.protocol = "dqlite"
    local shown = table.concat(texts, ", ", 1, math.min(#texts, 6))
    if #texts > 6 then shown = shown .. string.format(", .. %d in all", #texts) end
    pinfo.cols.info:set(shown)
    pinfo.cols.info:fence()
  end
  return stop
end

-- A connection is dqlite if its first bytes are a handshake, alone or before the header of a request.
local function heuristic(tvb, pinfo, tree)
  if tvb:captured_len() < 8 then return false end
  if not version_at(tvb, 0, tvb:captured_len()) then return false end
  -- a connection that was recognised is not asked about again: this is another one between the same endpoints
  if not units[pinfo.number] then stream_of(pinfo, true) end
  pinfo.conversation = dqlite
  dqlite.dissector(tvb, pinfo, tree)
  return true
end

dqlite:register_heuristic("tcp", heuristic)
-- behind an HTTP upgrade to dqlite, as LXD and MicroCluster make it
local upgrades = DissectorTable.get("http.upgrade")
if upgrades then upgrades:add("dqlite", dqlite) end

local tcp_ports = DissectorTable.get("tcp.port")
tcp_ports:add_for_decode_as(dqlite)
local current = ""
function dqlite.prefs_changed()
  if tostring(dqlite.prefs.port) ~= current then
    if current ~= "" then tcp_ports:remove(current, dqlite) end
    current = tostring(dqlite.prefs.port)
    if current ~= "" then tcp_ports:add(current, dqlite) end
  end
end
