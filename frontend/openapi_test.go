package frontend

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tranzit/tranzit/iso"
	payswitch "github.com/tranzit/tranzit/switch"
)

// apiDocument is the OpenAPI document as the tests use it: every answer that a
// test gets is held against it.
type apiDocument struct {
	root     map[string]any
	compiler *jsonschema.Compiler

	mu      sync.Mutex
	schemas map[string]*jsonschema.Schema
}

const documentURL = "openapi.json"

var document = sync.OnceValue(func() *apiDocument {
	d, err := readDocument(openAPISource)
	if err != nil {
		panic(err)
	}
	return d
})

func readDocument(source []byte) (*apiDocument, error) {
	root, err := jsonschema.UnmarshalJSON(strings.NewReader(string(source)))
	if err != nil {
		return nil, err
	}
	d := &apiDocument{root: root.(map[string]any), compiler: jsonschema.NewCompiler(), schemas: map[string]*jsonschema.Schema{}}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	return d, d.compiler.AddResource(documentURL, root)
}

// node is a place in the document with its JSON pointer.
type node struct {
	pointer string
	value   map[string]any
}

// at walks down from n; each step through a $ref goes to its target.
func (d *apiDocument) at(n node, steps ...string) (node, bool) {
	for _, step := range steps {
		next, ok := n.value[step].(map[string]any)
		if !ok {
			return node{}, false
		}
		n = d.deref(node{n.pointer + "/" + escapeStep(step), next})
	}
	return n, true
}

func (d *apiDocument) deref(n node) node {
	ref, ok := n.value["$ref"].(string)
	if !ok {
		return n
	}
	value, pointer := any(d.root), strings.TrimPrefix(ref, "#")
	for _, step := range strings.Split(pointer, "/")[1:] {
		within, _ := value.(map[string]any)
		value = within[strings.ReplaceAll(strings.ReplaceAll(step, "~1", "/"), "~0", "~")]
	}
	target, _ := value.(map[string]any)
	return node{pointer, target}
}

func escapeStep(step string) string {
	return strings.ReplaceAll(strings.ReplaceAll(step, "~", "~0"), "/", "~1")
}

// validate holds a value against the schema at n.
func (d *apiDocument) validate(n node, value any) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	schema := d.schemas[n.pointer]
	if schema == nil {
		var err error
		if schema, err = d.compiler.Compile(documentURL + "#" + n.pointer); err != nil {
			return err
		}
		d.schemas[n.pointer] = schema
	}
	return schema.Validate(value)
}

func (d *apiDocument) validateText(n node, text string) error {
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	return d.validate(n, value)
}

// apiOperation is one method of one documented path.
type apiOperation struct {
	path, method string // method in capitals
	node
}

// operations are all of the document, in a stable order.
func (d *apiDocument) operations() (list []apiOperation) {
	paths := d.root["paths"].(map[string]any)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		item := paths[path].(map[string]any)
		for _, method := range []string{"get", "post", "put", "patch", "delete", "head", "options"} {
			if value, ok := item[method].(map[string]any); ok {
				list = append(list, apiOperation{path, strings.ToUpper(method), node{"/paths/" + escapeStep(path) + "/" + method, value}})
			}
		}
	}
	return list
}

// find gives the operation that a request is, as a client reads the document.
func (d *apiDocument) find(method, target string) (op apiOperation, pathKnown bool) {
	path, _, _ := strings.Cut(target, "?")
	for _, o := range d.operations() {
		if !matchesTemplate(o.path, path) {
			continue
		}
		pathKnown = true
		if o.method == method || o.method == "GET" && method == "HEAD" {
			return o, true
		}
	}
	return apiOperation{}, pathKnown
}

func matchesTemplate(template, path string) bool {
	want, got := strings.Split(template, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if strings.HasPrefix(want[i], "{") && got[i] != "" {
			continue
		}
		if want[i] != got[i] {
			return false
		}
	}
	return true
}

// check holds an answer to what the document says of it. It gives the line of
// the document that the answer is: "GET /v1/payments 400 invalid_request".
func (d *apiDocument) check(method, target string, r reply) (line string, err error) {
	op, pathKnown := d.find(method, target)
	response, where := node{}, op.method+" "+op.path
	switch {
	case op.value != nil:
		var ok bool
		if response, ok = d.at(op.node, "responses", strconv.Itoa(r.status)); !ok {
			return "", fmt.Errorf("%s: status %d is not documented", where, r.status)
		}
	case pathKnown:
		where = "MethodNotAllowed"
		response, _ = d.at(node{"", d.root}, "components", "responses", where)
	default:
		where = "NotFound"
		response, _ = d.at(node{"", d.root}, "components", "responses", where)
	}
	line = where + " " + strconv.Itoa(r.status)
	if err := d.checkHeaders(response, r.header); err != nil {
		return "", fmt.Errorf("%s: %w", line, err)
	}
	if method == "HEAD" || response.value["content"] == nil {
		if r.body != "" {
			return "", fmt.Errorf("%s: a body that is not documented", line)
		}
		return line, nil
	}
	schema, ok := d.at(response, "content", r.header.Get("Content-Type"), "schema")
	if !ok {
		return "", fmt.Errorf("%s: %q is not documented", line, r.header.Get("Content-Type"))
	}
	err = d.validateText(schema, r.body)
	if !strings.Contains(r.header.Get("Content-Type"), "json") {
		err = d.validate(schema, r.body)
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w\nin %.600s", line, err, r.body)
	}
	var p struct{ Code string }
	if r.header.Get("Content-Type") == problemType {
		_ = json.Unmarshal([]byte(r.body), &p)
		line += " " + p.Code
	}
	return line, nil
}

// transport are the headers that belong to HTTP and not to this API.
var transport = []string{"Content-Type", "Content-Length", "Date", "Connection"}

// signing are the headers of the answers to signed requests, told once for all.
var signing = []string{"Content-Digest", "Signature", "Signature-Input"}

func (d *apiDocument) checkHeaders(response node, got http.Header) error {
	documented, _ := response.value["headers"].(map[string]any)
	known := slices.Concat(transport, signing)
	for name := range documented {
		header, _ := d.at(response, "headers", name)
		value := got.Get(name)
		known = append(known, http.CanonicalHeaderKey(name))
		if value == "" {
			if header.value["required"] == true {
				return fmt.Errorf("header %s is missing", name)
			}
			continue
		}
		schema, _ := d.at(header, "schema")
		if err := d.validate(schema, value); err != nil {
			return fmt.Errorf("header %s: %w", name, err)
		}
	}
	for name := range got {
		if !slices.Contains(known, name) {
			return fmt.Errorf("header %s is not documented", name)
		}
	}
	return nil
}

// checkRequest holds a request that was accepted to the document. A null counts
// as left out, which the document does not advertise.
func (d *apiDocument) checkRequest(method, target, body string) error {
	op, _ := d.find(method, target)
	if row, ok := d.at(op.node, "requestBody", "content", "application/x-ndjson", "schema", "contentSchema"); ok && strings.HasPrefix(body, "{") {
		for line := range strings.Lines(body) {
			if err := d.validateText(row, line); err != nil {
				return err
			}
		}
	}
	schema, ok := d.at(op.node, "requestBody", "content", "application/json", "schema")
	if !ok || strings.Contains(body, "null") {
		return nil
	}
	return d.validateText(schema, body)
}

// lines are all answers that the document tells of, as check names them.
func (d *apiDocument) lines() map[string]bool {
	all := map[string]bool{}
	add := func(where string, response node) {
		schema, isProblem := d.at(response, "content", problemType, "schema")
		if !isProblem {
			all[where] = true
			return
		}
		narrow := schema.value["allOf"].([]any)[1].(map[string]any)
		codes, _ := d.at(node{"", narrow}, "properties", "code")
		for _, code := range codes.value["enum"].([]any) {
			all[where+" "+code.(string)] = true
		}
	}
	for _, op := range d.operations() {
		for status := range op.value["responses"].(map[string]any) {
			response, _ := d.at(op.node, "responses", status)
			add(op.method+" "+op.path+" "+status, response)
		}
	}
	for name, status := range map[string]string{"MethodNotAllowed": "405", "NotFound": "404"} {
		response, _ := d.at(node{"", d.root}, "components", "responses", name)
		add(name+" "+status, response)
	}
	return all
}

// each calls visit for every object of the document.
func each(value any, visit func(map[string]any)) {
	switch v := value.(type) {
	case map[string]any:
		visit(v)
		for _, inner := range v {
			each(inner, visit)
		}
	case []any:
		for _, inner := range v {
			each(inner, visit)
		}
	}
}

// TestDocumentIsSound: every reference has a target and every component a use;
// every schema is one; operations have names and declare their parameters.
func TestDocumentIsSound(t *testing.T) {
	d := document()
	used := map[string]bool{}
	each(d.root, func(o map[string]any) {
		if ref, ok := o["$ref"].(string); ok {
			used[ref] = true
			if d.deref(node{"", o}).value == nil {
				t.Errorf("%s leads nowhere", ref)
			}
		}
	})
	for kind, all := range d.root["components"].(map[string]any) {
		for name, value := range all.(map[string]any) {
			ref := "#/components/" + kind + "/" + name
			if !used[ref] && kind != "securitySchemes" && name != "MethodNotAllowed" {
				t.Errorf("%s is not used", ref)
			}
			if kind == "schemas" {
				if _, err := d.compiler.Compile(documentURL + ref); err != nil {
					t.Errorf("%s: %v", ref, err)
				}
				if value.(map[string]any)["description"] == nil {
					t.Errorf("%s has no description", ref)
				}
			}
		}
	}
	names := map[string]bool{}
	for _, op := range d.operations() {
		name, _ := op.value["operationId"].(string)
		if name == "" || names[name] || op.value["summary"] == nil {
			t.Errorf("%s %s: operationId %q, summary %v", op.method, op.path, name, op.value["summary"])
		}
		names[name] = true
		item, _ := d.at(node{"", d.root}, "paths", op.path)
		declared := []string{}
		parameters, _ := item.value["parameters"].([]any)
		for _, p := range parameters {
			declared = append(declared, "{"+d.deref(node{"", p.(map[string]any)}).value["name"].(string)+"}")
		}
		if got := placeholders.FindAllString(op.path, -1); !slices.Equal(got, declared) && len(got)+len(declared) > 0 {
			t.Errorf("%s declares %v", op.path, declared)
		}
	}
}

var placeholders = regexp.MustCompile(`\{[^}]*\}`)

// TestDocumentHasEveryRoute, and no other: the router is asked for what the
// document names, and the document for what the router holds.
func TestDocumentHasEveryRoute(t *testing.T) {
	s := openShop(t, nil)
	documented := map[string]string{}
	for _, op := range document().operations() {
		name := placeholders.ReplaceAllString(op.path, "{id}")
		documented[name] += op.method + " "
		found, _, _ := s.server.routes.find([]byte(placeholders.ReplaceAllString(op.path, "pay_1")))
		if found.name != name {
			t.Errorf("%s is the route %s", op.path, found.name)
		}
	}
	table := reflect.ValueOf(s.server.routes).Elem()
	for i := range table.NumField() {
		if table.Field(i).Kind() != reflect.Pointer {
			continue
		}
		r := table.Field(i).Elem()
		name, methods := r.FieldByName("name").String(), ""
		if name == "/pay/{id}" || name == "/buy/{id}" || name == "/3ds/{id}" {
			continue // it is for people
		}
		if !r.FieldByName("get").IsNil() {
			methods += "GET "
		}
		if !r.FieldByName("post").IsNil() {
			methods += "POST "
		}
		if !r.FieldByName("del").IsNil() {
			methods += "DELETE "
		}
		if documented[name] != methods {
			t.Errorf("%s takes %q, documented is %q", name, methods, documented[name])
		}
		delete(documented, name)
	}
	if len(documented) > 0 {
		t.Errorf("documented and not there: %v", documented)
	}
}

// TestDocumentHasEveryWord: the enumerations of the document are those of the code.
func TestDocumentHasEveryWord(t *testing.T) {
	var statuses, kinds, operationStatuses, titles, reasons, verdicts, events []string
	for _, v := range payswitch.BankVerdicts() {
		verdicts = append(verdicts, string(v))
		if verdictTexts[v] == "" {
			t.Errorf("nothing is said about %s", v)
		}
	}
	words := func(p payswitch.Purpose) (all []string) {
		for _, s := range p.Statuses() {
			all = append(all, s.String())
		}
		return all
	}
	for s := payswitch.StatusInFlight + 1; s.String() != "invalid"; s++ {
		statuses = append(statuses, s.String())
	}
	for _, k := range problemKinds {
		kinds = append(kinds, k.code)
		titles = append(titles, strconv.Itoa(k.status))
	}
	for _, kind := range payswitch.EventTypes() {
		events = append(events, kind.String())
	}
	for _, reason := range iso.Declines().All() {
		reasons = append(reasons, reason.Code)
	}
	for s := payswitch.OperationInFlight + 1; s.String() != "invalid"; s++ {
		operationStatuses = append(operationStatuses, s.String())
	}
	for _, tt := range []struct {
		schema, member string
		want           []string
	}{
		{"PaymentStatus", "", words(payswitch.PurposePayment)},
		{"PayoutStatus", "", words(payswitch.PurposePayout)},
		{"VerificationStatus", "", words(payswitch.PurposeVerification)},
		{"TimelineEvent", "status", append(slices.Clone(statuses), "<nil>")},
		{"OperationStatus", "", operationStatuses},
		{"Problem", "code", kinds},
		{"Problem", "status", titles},
		{"Decline", "code", reasons},
		{"BankVerdict", "", verdicts},
		{"EventType", "", events},
	} {
		n, _ := document().at(node{"", document().root}, "components", "schemas", tt.schema)
		if tt.member != "" {
			n, _ = document().at(n, "properties", tt.member)
		}
		var got []string
		for _, word := range n.value["enum"].([]any) {
			got = append(got, fmt.Sprint(word))
		}
		slices.Sort(got)
		slices.Sort(tt.want)
		if !slices.Equal(got, slices.Compact(tt.want)) {
			t.Errorf("%s %s: %v, want %v", tt.schema, tt.member, got, tt.want)
		}
	}
	n, _ := document().at(node{"", document().root}, "components", "schemas", "Fault", "properties", "code")
	for _, word := range n.value["enum"].([]any) {
		if !strings.Contains(readFile(t, docsPath), "`"+word.(string)+"`") {
			t.Errorf("the page does not name the fault %s", word)
		}
	}
}

// TestDocumentIsServed to anybody, as it stands, and not twice to who has it.
func TestDocumentIsServed(t *testing.T) {
	s := openShop(t, nil)
	r := s.do("GET", "/openapi.json", "", "Authorization", "")
	tag := r.header.Get("Etag")
	var served, written any
	if json.Unmarshal([]byte(r.body), &served) != nil || json.Unmarshal(openAPISource, &written) != nil || !reflect.DeepEqual(served, written) {
		t.Errorf("answer %d %.200s", r.status, r.body)
	}
	for header, want := range map[string]int{tag: 304, `"other", W/` + tag: 304, "*": 304, `"other"`: 200, "": 200, tag + "x": 200} {
		if r := s.do("GET", "/openapi.json", "", "If-None-Match", header, "Authorization", ""); r.status != want || (r.body == "") != (want == 304) {
			t.Errorf("If-None-Match %s: %d with %d bytes", header, r.status, len(r.body))
		}
	}
	if r := s.do("HEAD", "/openapi.json", ""); r.status != 200 || r.header.Get("Content-Length") != strconv.Itoa(len(openAPI.body)) {
		t.Errorf("HEAD: %d %v", r.status, r.header)
	}
}

// TestDocumentIsHeld: the checks of this file fail when the document is wrong.
func TestDocumentIsHeld(t *testing.T) {
	s := openShop(t, nil)
	r := s.pay("held-1", leanBody)
	for name, change := range map[string][2]string{
		"a member is gone":       {`"rrn": {`, `"rrm": {`},
		"a status is renamed":    {`"captured",`, `"taken",`},
		"a header is gone":       {`"Request-Id": {`, `"Request-Ip": {`},
		"an answer is gone":      {`"201": {`, `"203": {`},
		"a content is renamed":   {`"application/json": {`, `"text/json": {`},
		"an amount is a text":    {`"amount_captured": {` + "\n      \"type\": \"integer\"", `"amount_captured": {` + "\n      \"type\": \"string\""},
		"a header is other":      {`"const": "no-store"`, `"const": "no-cache"`},
		"a path is gone":         {`"/v1/payments": {`, `"/v1/payment": {`},
		"an id has another form": {`"^pay_[`, `"^pey_[`},
	} {
		changed := strings.ReplaceAll(string(openAPISource), change[0], change[1])
		broken, err := readDocument([]byte(changed))
		must(t, err)
		if _, err := broken.check("POST", "/v1/payments", r); err == nil || changed == string(openAPISource) {
			t.Errorf("%s: nobody noticed", name)
		}
	}
	if line, err := document().check("POST", "/v1/payments", r); err != nil || line != "POST /v1/payments 201" {
		t.Errorf("%s, %v", line, err)
	}
}
