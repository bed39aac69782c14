package main

import (
	"encoding/json"
	"strconv"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"

	"github.com/tranzit/tranzit/iso"
)

// wiresharkStub is as much of Wireshark's Lua interface as a dissector uses.
const wiresharkStub = `
PI_MALFORMED, PI_ERROR = 1, 2
shown, faults = {}, {}
local function field(abbr, name) return {abbr = abbr, name = name} end
ProtoField = {uint32 = field, string = field, bytes = field}
function Proto(name, title) proto = {name = name} return proto end
ports = {}
DissectorTable = {get = function() return {add = function(_, port, p) ports[#ports + 1] = port end} end}
local function tvb(bytes, first, n)
  local t = {}
  function t:len() return n end
  function t:uint() local v = 0 for i = first, first + n - 1 do v = v * 256 + bytes[i + 1] end return v end
  function t:le_uint() local v = 0 for i = first + n - 1, first, -1 do v = v * 256 + bytes[i + 1] end return v end
  function t:tvb() return t end
  setmetatable(t, {__call = function(_, at, size)
    at = at or 0
    size = size or n - at
    if at < 0 or size < 0 or at + size > n then error("beyond the end: " .. at .. " " .. size .. " of " .. n) end
    return tvb_of(bytes, first + at, size)
  end})
  return t
end
tvb_of = tvb
local tree = {}
function tree:add(f, range, value) if f.abbr then shown[f.abbr] = tostring(value) end return tree end
function tree:add_expert_info(_, _, what) faults[#faults + 1] = what end
function dissect_tcp_pdus(buf, root, size, length, dissect)
  local at = 0
  while at < buf:len() do
    if buf:len() - at < size then break end
    local n = length(buf, {cols = {}}, at)
    if at + n > buf:len() then break end
    dissect(buf(at, n), {cols = {}}, root)
    at = at + n
  end
end
function run(bytes)
  shown, faults = {}, {}
  proto.dissector(tvb(bytes, 0, #bytes), {cols = {}}, tree)
end
`

// The dissector of every built-in dialect reads what the dialect writes, and
// shows no card data.
func TestDissectorsReadWhatDialectsWrite(t *testing.T) {
	t.Parallel()
	for _, name := range iso.Builtins() {
		d, err := iso.Builtin(name)
		if err != nil {
			t.Fatal(err)
		}
		state := lua.NewState()
		for _, program := range []string{wiresharkStub, mustCommand(t, "", "dialect", "wireshark", name, "--port", "9101,9102")} {
			if err := state.DoString(program); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
		}
		for op := iso.OpPurchase; op <= iso.OpEcho; op++ {
			if !d.Supports(op) {
				continue
			}
			text := messageText{Operation: op.String(), Values: exampleValues(t)}
			m, err := text.message(d)
			if err != nil {
				t.Fatalf("%s %s: %v", name, op, err)
			}
			frame, err := d.AppendFrame(nil, m)
			if err != nil {
				t.Fatal(err)
			}
			shown, faults := dissect(t, state, append(frame, frame...))
			if faults != "" {
				t.Errorf("%s %s: %s", name, op, faults)
			}
			prefix := "tranzit_" + strings.ReplaceAll(d.ID(), "-", "_") + "."
			if shown[prefix+"mti"] != m.MTI.String() {
				t.Errorf("%s %s: type %q", name, op, shown[prefix+"mti"])
			}
			for _, view := range d.Describe(m)[1:] {
				got := shown[prefix+"f"+strconv.Itoa(view.Number)]
				if strings.Contains(got, "4111111111111111") {
					t.Errorf("%s %s: field %d shows a card number", name, op, view.Number)
				}
				if !strings.HasPrefix(got, "(masked") && !strings.EqualFold(got, view.Value) {
					t.Errorf("%s %s: field %d is %q, shown %q", name, op, view.Number, view.Value, got)
				}
			}
			for cut := range frame {
				dissect(t, state, frame[:cut]) // a piece of a message stops no dissector
			}
		}
		state.Close()
	}
}

func exampleValues(t *testing.T) messageValues {
	t.Helper()
	var m messageText
	if err := json.Unmarshal([]byte(examplePurchase), &m); err != nil {
		t.Fatal(err)
	}
	v := m.Values
	v.Reason, v.OriginalMTI, v.OriginalSTAN, v.OriginalSentAt = "timeout", "0200", 6, v.SentAt
	return v
}

func dissect(t *testing.T, state *lua.LState, frame []byte) (map[string]string, string) {
	t.Helper()
	bytes := state.NewTable()
	for _, b := range frame {
		bytes.Append(lua.LNumber(b))
	}
	if err := state.CallByParam(lua.P{Fn: state.GetGlobal("run"), Protect: true}, bytes); err != nil {
		t.Fatal(err)
	}
	shown := map[string]string{}
	state.GetGlobal("shown").(*lua.LTable).ForEach(func(k, v lua.LValue) { shown[k.String()] = v.String() })
	var faults []string
	state.GetGlobal("faults").(*lua.LTable).ForEach(func(_, v lua.LValue) { faults = append(faults, v.String()) })
	return shown, strings.Join(faults, "; ")
}
