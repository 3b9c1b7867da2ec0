package syncserver

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// about is what the API's description says of a route.
type about struct {
	summary string
	query   []string // parameters; what they mean is in queryParams
	in, out any      // zero values of the bodies; nil: none, or none that is JSON
}

// queryParams is what the parameters of queries mean, the same in every route.
var queryParams = map[string]string{
	"block_id":     "The block.",
	"cursor":       "A next_cursor that this route gave; without one the first page.",
	"diagnostics":  "1 to be told more.",
	"download":     "1 to have it saved rather than shown.",
	"heap_id":      "The heap; the same as workspace_id.",
	"limit":        "How many rows a page may have, 1 to 1000; 100 if it is not given.",
	"purge":        "Of a block, 1 to delete it for good; of a heap, now to purge it without grace.",
	"since":        "Unix milliseconds: a server_time of an answer before.",
	"token":        "An access token, or a file's ticket, for who cannot send headers.",
	"workspace_id": "The heap.",
}

// openapi describes every route in OpenAPI 3.1.
func (s *Server) openapi(routes []route) ([]byte, error) {
	registry := huma.NewMapRegistry("#/components/schemas/", func(t reflect.Type, hint string) string {
		return strings.TrimSuffix(huma.DefaultSchemaNamer(t, hint), "JSON")
	})
	problem := jsonBody(registry, Problem{})
	problem["application/problem+json"] = problem["application/json"]
	delete(problem, "application/json")
	api := &huma.OpenAPI{
		OpenAPI: "3.1.0",
		Info: &huma.Info{Title: "heapsync", Version: s.Version,
			Description: "Sync of Yjs documents, kept in heaps, over HTTP. Live clients use the websocket at /ws."},
		Servers: []*huma.Server{{URL: s.PublicURL}},
		Components: &huma.Components{
			Schemas: registry,
			SecuritySchemes: map[string]*huma.SecurityScheme{"token": {Type: "http", Scheme: "bearer",
				Description: "An access token of verify_session or verify_key."}},
		},
	}
	for _, rt := range routes {
		method, path, found := strings.Cut(rt.pattern, " ")
		if !found || rt.about.summary == "" {
			continue // the web app
		}
		path = strings.ReplaceAll(path, "{stats}", "stats") // see heapStats
		op := &huma.Operation{
			Method: method, Path: strings.ReplaceAll(path, "{$}", ""), Summary: rt.about.summary,
			OperationID: operationID(method, path), Tags: []string{tagOf(path)},
			Responses: map[string]*huma.Response{
				"200":     {Description: "Done.", Content: jsonBody(registry, rt.about.out)},
				"default": {Description: "A problem; switch on its code.", Content: problem},
			},
		}
		if rt.access == member || rt.access == admin || rt.access == media {
			op.Security = []map[string][]string{{"token": {}}}
		}
		if rt.access == optional {
			op.Security = []map[string][]string{{}, {"token": {}}}
		}
		if rt.about.in != nil {
			op.RequestBody = &huma.RequestBody{Content: jsonBody(registry, rt.about.in)}
		}
		for _, name := range rt.about.query {
			op.Parameters = append(op.Parameters, &huma.Param{Name: name, In: "query",
				Description: queryParams[name], Schema: &huma.Schema{Type: huma.TypeString}})
		}
		for _, part := range strings.Split(path, "/") {
			if name, ok := strings.CutPrefix(part, "{"); ok && name != "$}" {
				op.Parameters = append(op.Parameters, &huma.Param{Name: strings.TrimSuffix(name, "}"), In: "path",
					Required: true, Schema: &huma.Schema{Type: huma.TypeString}})
			}
		}
		api.AddOperation(op)
	}
	for _, schema := range registry.Map() {
		schema.AdditionalProperties = nil // unknown fields are ignored
	}
	return json.Marshal(api)
}

// jsonBody is the content of a JSON body like v.
func jsonBody(registry huma.Registry, v any) map[string]*huma.MediaType {
	if v == nil {
		return nil
	}
	return map[string]*huma.MediaType{"application/json": {Schema: registry.Schema(reflect.TypeOf(v), true, "")}}
}

// operationID is method and path as one word: "get_api_auth_sessions".
func operationID(method, path string) string {
	words := strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune("/{}$", r) })
	if strings.HasSuffix(path, "/{$}") {
		words = append(words, "root")
	}
	return strings.ToLower(strings.Join(append([]string{method}, words...), "_"))
}

// tagOf groups routes by what their path begins with.
func tagOf(path string) string {
	first, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(path, "/api"), "/"), "/")
	switch first {
	case "auth", "admin", "sync":
		return first
	case "ws":
		return "sync"
	case "me":
		return "auth"
	case "file", "files", "stream", "status", "upload":
		return "files"
	case "block", "block_updates", "heap", "heaps", "heap_count", "search", "workspaces", "invites", "trash":
		return "heaps"
	}
	return "instance"
}

func (s *Server) describe(w http.ResponseWriter, _ *http.Request) error {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache")
	_, _ = w.Write(s.description) // the client may be gone
	return nil
}
