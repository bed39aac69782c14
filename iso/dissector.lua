local proto = Proto(NAME, TITLE)
local f_len = ProtoField.uint32(NAME .. ".length", "Length of the frame")
local f_mti = ProtoField.string(NAME .. ".mti", "Message type")
local f_bits = ProtoField.bytes(NAME .. ".bitmap", "Bitmap")
local f_field = {}
local all = {f_len, f_mti, f_bits}
for number, row in pairs(FIELDS) do
  f_field[number] = ProtoField.string(NAME .. ".f" .. number, string.format("%d %s", number, row.name))
  all[#all + 1] = f_field[number]
end
proto.fields = all

-- EBCDIC digits, capital and small letters and space; all else is a dot.
local function from_ebcdic(c)
  if c >= 0xF0 and c <= 0xF9 then return string.char(c - 0xF0 + 48) end
  if c == 0x40 then return " " end
  for _, run in ipairs({{0xC1, 65, 9}, {0xD1, 74, 9}, {0xE2, 83, 8}, {0x81, 97, 9}, {0x91, 106, 9}, {0xA2, 115, 8}}) do
    if c >= run[1] and c < run[1] + run[3] then return string.char(run[2] + c - run[1]) end
  end
  return "."
end

local function digits_of(buf, at, n, kind)
  local value = 0
  for i = at, at + n - 1 do
    local c = buf(i, 1):uint()
    if kind == "ascii" then
      if c < 48 or c > 57 then return nil end
      value = value * 10 + c - 48
    elseif kind == "ebcdic" then
      if c < 0xF0 or c > 0xF9 then return nil end
      value = value * 10 + c - 0xF0
    elseif kind == "bcd" then
      local high, low = math.floor(c / 16), c % 16
      if high > 9 or low > 9 then return nil end
      value = value * 100 + high * 10 + low
    elseif kind == "hex" then
      local digit = tonumber(string.char(c), 16)
      if digit == nil then return nil end
      value = value * 16 + digit
    else
      value = value * 256 + c
    end
  end
  return value
end

local function text_of(buf, at, n, row, digits)
  local out = {}
  for i = at, at + n - 1 do
    local c = buf(i, 1):uint()
    if row.form == "bcd" or row.form == "nibble" then
      out[#out + 1] = string.format("%x", math.floor(c / 16)) .. string.format("%x", c % 16)
    elseif row.form == "signbcd" then
      if i == at then out[#out + 1] = string.char(c) else out[#out + 1] = string.format("%02x", c) end
    elseif row.form == "binary" then
      out[#out + 1] = string.format("%02X", c)
    elseif row.form == "ebcdic" then
      out[#out + 1] = from_ebcdic(c)
    elseif c >= 32 and c < 127 then
      out[#out + 1] = string.char(c)
    else
      out[#out + 1] = "."
    end
  end
  local text = table.concat(out)
  if row.form == "bcd" and digits < 2 * n then
    if row.right then text = string.sub(text, 1, -2) else text = string.sub(text, 2) end
  end
  return text
end

-- wire is how many bytes a value takes, by what its length says.
local function wire(n, row)
  if row.count == "half" then return n end
  if row.count == "twice" then
    if row.form == "hex" then return n end
    return math.floor(n / 2)
  end
  if row.form == "bcd" or row.form == "nibble" then return math.floor((n + 1) / 2) end
  if row.form == "hex" then return 2 * n end
  if row.form == "signbcd" then return 1 + math.floor(n / 2) end
  return n
end

local function bad(tree, what)
  tree:add_expert_info(PI_MALFORMED, PI_ERROR, what)
end

local function bitmap(buf, at, bits, first)
  local size = 8
  if BITMAP ~= "binary" then size = 16 end
  if at + size > buf:len() then return nil end
  for i = 0, 63 do
    local nibble
    if BITMAP == "binary" then
      local c = buf(at + math.floor(i / 8), 1):uint()
      nibble = math.floor(c / 16)
      if i % 8 >= 4 then nibble = c % 16 end
    else
      local c = buf(at + math.floor(i / 4), 1):uint()
      local char = string.char(c)
      if BITMAP == "ebcdic" then char = from_ebcdic(c) end
      nibble = tonumber(char, 16)
      if nibble == nil then return nil end
    end
    bits[first + i] = math.floor(nibble / 2 ^ (3 - i % 4)) % 2 == 1
  end
  return size
end

local function field(buf, at, number, tree)
  local row = FIELDS[number]
  if row == nil then return nil end
  local start, n = at, row.max
  if row.prefix ~= "" then
    if at + row.width > buf:len() then return nil end
    n = digits_of(buf, at, row.width, row.prefix)
    if n == nil then return nil end
    at = at + row.width
  end
  local size = wire(n, row)
  if row.prefix == "" then size = wire(row.max, {form = row.form, count = "value"}) end
  if at + size > buf:len() then return nil end
  local shown
  if row.masked then
    shown = string.format("(masked, %d bytes)", size)
  else
    shown = text_of(buf, at, size, row, n)
  end
  tree:add(f_field[number], buf(start, at + size - start), shown)
  return at + size
end

local function message(buf, pinfo, root)
  local tree = root:add(proto, buf(), TITLE)
  tree:add(f_len, buf(0, buf:len()), buf:len())
  if buf:len() <= FRAME.lead + FRAME.tail then return end
  buf = buf(0, buf:len() - FRAME.tail):tvb()
  local at = FRAME.lead + FRAME.header
  local size = 4
  if MTI == "bcd" then size = 2 end
  if at + size > buf:len() then return bad(tree, "no message type") end
  local row = {form = "text"}
  if MTI == "bcd" then row = {form = "bcd"} elseif MTI == "ebcdic" then row = {form = "ebcdic"} end
  local mti = text_of(buf, at, size, row, 4)
  tree:add(f_mti, buf(at, size), mti)
  pinfo.cols.protocol = "ISO8583"
  pinfo.cols.info = mti
  at = at + size
  local bits = {}
  local first = at
  local used = bitmap(buf, at, bits, 1)
  if used == nil then return bad(tree, "no bitmap") end
  at = at + used
  if bits[1] and LAST > 64 then
    used = bitmap(buf, at, bits, 65)
    if used == nil then return bad(tree, "no second bitmap") end
    at = at + used
  end
  local third = bits[65]
  if third and not INSIDE then
    used = bitmap(buf, at, bits, 129)
    if used == nil then return bad(tree, "no third bitmap") end
    at = at + used
  end
  tree:add(f_bits, buf(first, at - first))
  for number = 2, LAST do
    if number == 65 then
      if third and INSIDE then
        used = bitmap(buf, at, bits, 129)
        if used == nil then return bad(tree, "no third bitmap") end
        at = at + used
      end
    elseif bits[number] then
      at = field(buf, at, number, tree)
      if at == nil then return bad(tree, "field " .. number .. " cannot be read") end
    end
  end
  if at < buf:len() then bad(tree, "bytes follow the last field") end
end

local function frame_length(buf, pinfo, offset)
  local rest = buf:len() - offset
  if FRAME.kind == "end" then
    for i = offset, buf:len() - 1 do
      if buf(i, 1):uint() == FRAME.trailer then return i + 1 - offset end
    end
    return rest + 1
  end
  local n
  if FRAME.little then
    n = buf(offset, FRAME.width):le_uint()
  else
    n = digits_of(buf, offset, FRAME.width, FRAME.kind)
  end
  if n == nil or n - FRAME.extra > FRAME.max then return rest end
  if n == 0 then return FRAME.lead end
  return FRAME.lead + n - FRAME.extra + FRAME.tail
end

function proto.dissector(buf, pinfo, tree)
  dissect_tcp_pdus(buf, tree, math.max(FRAME.lead, 1), frame_length, function(pdu, info, root)
    message(pdu, info, root)
    return pdu:len()
  end)
  return buf:len()
end

for _, port in ipairs(PORTS) do
  DissectorTable.get("tcp.port"):add(port, proto)
end
