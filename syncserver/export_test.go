package syncserver

// Route is a route as tests of all routes see it.
type Route struct {
	Pattern string
	Access  string // public, optional, member, admin, socket or media
}

// Routes looks inside so that no route can be left out of a test.
func (s *Server) Routes() []Route {
	names := map[access]string{public: "public", optional: "optional", member: "member", admin: "admin", socket: "socket", media: "media"}
	var out []Route
	for _, rt := range s.routes() {
		out = append(out, Route{rt.pattern, names[rt.access]})
	}
	return out
}
