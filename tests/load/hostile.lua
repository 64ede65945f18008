-- What wrk sends to a sync server: what its clients would, and what they would not. See hostile.sh.
--
-- Every request is drawn at random from a list, so that each kind meets each other. An answer of 500 is a defect of the server:
-- whatever is sent, it is the sender's fault.

local prefix = os.getenv("PREFIX") or "/open"
local bodies = os.getenv("BODIES") or "."

local function read(name)
  local file = assert(io.open(bodies .. "/" .. name, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local threads = {}

function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

local gzip_bomb, zstd_bomb, zstd_window, many_values, huge = nil, nil, nil, nil, nil
local cursor = nil
local turn = 0

function init()
  math.randomseed(os.time() + number)
  -- Counted by thread, and read by `done`.
  answers = {}
  gzip_bomb, zstd_bomb, zstd_window = read("bomb.gz"), read("bomb.zst"), read("window.zst")
  many_values, huge = read("many-values.json"), read("huge.json")
end

local function draw(list)
  return list[math.random(#list)]
end

-- One of the nodes whose tokens the server knows.
local function edge()
  return "edge-" .. (number * 3 + math.random(3) - 1)
end

local function headers(token, more)
  local all = { ["content-type"] = "application/json", ["authorization"] = "Bearer " .. token }
  for name, value in pairs(more or {}) do
    all[name] = value
  end
  return all
end

local function post(route, token, body, more)
  return wrk.format("POST", prefix .. route, headers(token, more), body)
end

local function get(path, token)
  return wrk.format("GET", prefix .. path, headers(token))
end

local function asker(node)
  return '{"node_id":"' .. node .. '","replica_id":"database-of-' .. node .. '",'
end

-- A clock value that no other request has.
local function hlc(node)
  turn = turn + 1
  return '"hlc":{"ts":' .. string.format("%d", os.time()) .. "000000" .. ',"c":' .. turn .. ',"node":"' .. node .. '"},"node_id":"' .. node .. '"'
end

local function change(node, pk, rest)
  return '{"table":"documents","pk":"' .. pk .. '",' .. hlc(node) .. "," .. rest .. "}"
end

local function push(node, changes)
  return asker(node) .. '"changes":[' .. table.concat(changes, ",") .. "]}"
end

local function pull(node, rest)
  return asker(node) .. '"tables":["documents"]' .. (rest or "") .. "}"
end

-- What clients send.

local function some_document()
  return "doc-" .. math.random(2000)
end

local function valid_push()
  local node = edge()
  local changes = {}
  for _ = 1, math.random(20) do
    table.insert(changes, change(node, some_document(),
      '"crdt_type":"record","epoch":1,"value":{"lww":{"title":"' .. string.rep("x", math.random(200)) ..
      '"},"counter":{"view_count":0},"set":{"tags":[]}}'))
  end
  table.insert(changes, change(node, some_document(),
    '"field":"view_count","cell":"' .. node .. '","crdt_type":"counter","epoch":1,"counter":{"inc":' .. turn .. ',"dec":0}'))
  table.insert(changes, change(node, some_document(), '"field":"title","crdt_type":"lww","epoch":1,"value":"y"'))
  return post("/push", node, push(node, changes))
end

local function valid_pull()
  local node = edge()
  local rest = ',"limit":' .. draw({ 1, 20, 200 })
  if cursor and math.random(2) == 1 then
    rest = rest .. ',"cursor":"' .. cursor .. '"'
  end
  return post("/pull", node, pull(node, rest))
end

local function valid_presence()
  local node = edge()
  local data = draw({ '{"line":' .. math.random(100) .. "}", '"here"', "null" })
  return post("/presence", node, asker(node) .. '"topics":{"documents:' .. some_document() .. '":' .. data .. "}}")
end

local function valid_look()
  return draw({ get("/health", ""), get("/presence?topic=documents:" .. some_document(), edge()) })
end

-- What they don't.

local function bad_json()
  return post(draw({ "/pull", "/push", "/presence" }), edge(),
    draw({ "", "{", "null", "[]", '{"node_id":', string.rep("\255", 500), '{"node_id":"\255"}', "{}", string.rep('{"a":', 50) }))
end

local function deep_json()
  local opened = draw({ "[", '{"a":', '[{"b":' })
  return post(draw({ "/pull", "/push", "/presence" }), edge(), string.rep(opened, math.random(100000)))
end

-- Deep, yet not too deep for the parser, in a place where any JSON may be.
local function deep_value()
  local node, depth = edge(), math.random(90, 125)
  local value = string.rep("[", depth) .. string.rep("]", depth)
  return post("/push", node, push(node, { change(node, "deep", '"field":"title","crdt_type":"lww","epoch":1,"value":' .. value) }))
end

local function huge_body()
  return post(draw({ "/pull", "/push" }), edge(), draw({ huge, many_values, huge .. huge }))
end

local function bomb()
  local bodies = { { "gzip", gzip_bomb }, { "zstd", zstd_bomb }, { "zstd", zstd_window }, { "gzip", "no gzip" }, { "br", "{}" }, { "gzip, gzip", gzip_bomb } }
  local body = draw(bodies)
  return post(draw({ "/pull", "/push", "/presence" }), edge(), body[2], { ["content-encoding"] = body[1] })
end

local function wrong_token()
  return post(draw({ "/pull", "/push", "/presence" }), draw({ "", "guessed", "edge-", "edge-0 ", string.rep("t", 8000) }), draw({ "{}", "{", huge }))
end

-- A known peer that speaks for another.
local function wrong_node()
  return post("/pull", "edge-0", pull(draw({ "edge-1", "hub", "~", "nobody" })))
end

local function wrong_type()
  return post("/pull", edge(), pull(edge()), { ["content-type"] = draw({ "text/plain", "", "multipart/form-data; boundary=x", "application/jsonp" }) })
end

local function wrong_version()
  return post("/pull", edge(), pull(edge()), { ["grove-protocol"] = draw({ "2", "", "one", "-1" }) })
end

local function unknown_route()
  -- Not HEAD: wrk waits for the body that the answer's head speaks of, and its connection does nothing more.
  return wrk.format(draw({ "GET", "POST", "PUT", "DELETE", "PATCH", "TRACE" }),
    prefix .. draw({ "", "/", "/nothing", "/pull/1", "/%00", "/..%2f..%2fetc%2fpasswd", "/push?" .. string.rep("q", 5000) }), headers(edge()))
end

local function wrong_method()
  return wrk.format(draw({ "GET", "PUT", "DELETE", "PATCH" }), prefix .. draw({ "/pull", "/push" }), headers(edge()))
end

local function of_a_page()
  return wrk.format("OPTIONS", prefix .. "/pull", {
    ["origin"] = draw({ "https://app.example", "https://evil.example", "null" }),
    ["access-control-request-method"] = "POST",
  })
end

local function bad_query()
  return get(draw({
    "/stream",
    "/stream?tables=",
    "/stream?tables=users",
    "/stream?tables=documents&cursor=nonsense",
    "/stream?tables=documents&limit=-1",
    "/stream?tables=" .. string.rep("documents,", 500),
    "/stream?tables=%ff",
    "/presence?topic=" .. string.rep("%0a", 100),
    "/presence",
  }), edge())
end

local function bad_pull()
  local node = edge()
  return post("/pull", node, pull(node, draw({
    ',"cursor":"nonsense"', ',"limit":0', ',"limit":1e99', ',"limit":18446744073709551615', ',"filter":{}',
    ',"cursor":"' .. string.rep("A", 10000) .. '"', ',"tables":["users"]',
  })))
end

local function bad_presence()
  local node = edge()
  local topics = {}
  for n = 1, draw({ 1, 200 }) do
    table.insert(topics, '"t' .. n .. '":' .. draw({ "1", '"' .. string.rep("x", 5000) .. '"', string.rep("[", 110) .. string.rep("]", 110) }))
  end
  return post("/presence", node, asker(node) .. '"topics":{' .. table.concat(topics, ",") .. "}}")
end

local function bad_changes()
  local node = edge()
  local kinds = {
    "7", "null", "{}", "[]",
    '{"table":"users","pk":"a"}',
    change(node, "a", '"crdt_type":"record","epoch":0'),
    change(node, "a", '"crdt_type":"record","epoch":4294967295,"value":{}'),
    change(node, "a", '"crdt_type":"record","epoch":2147483647,"value":{"lww":{"nothing":1}}'),
    change(node, "a", '"field":"title","crdt_type":"lww","epoch":1,"value":{"$ne":1}'),
    change(node, "a", '"field":"title","crdt_type":"lww","epoch":1,"value":"\\u0000"'),
    change(node, "a", '"field":"view_count","cell":"x","crdt_type":"counter","epoch":1,"counter":{"inc":-1,"dec":1e999}'),
    change(node, "a", '"field":"tags","cell":"x","crdt_type":"set","epoch":1,"value":"y","set":{"' .. node .. '":{"add":[1,0]}}'),
    change(node, string.rep("k", 600), '"crdt_type":"record","epoch":1,"value":{}'),
    '{"table":"documents","pk":"a","hlc":{"ts":9007199254740992,"c":0,"node":"' .. node .. '"},"node_id":"' .. node .. '","crdt_type":"record","epoch":1,"value":{}}',
  }
  local changes = {}
  for _ = 1, math.random(100) do
    table.insert(changes, draw(kinds))
  end
  return post("/push", node, push(node, changes))
end

-- How often each is drawn.
local kinds = {
  { 30, valid_push }, { 30, valid_pull }, { 10, valid_presence }, { 5, valid_look },
  { 10, bad_json }, { 5, deep_json }, { 5, deep_value }, { 2, huge_body }, { 3, bomb },
  { 10, wrong_token }, { 5, wrong_node }, { 5, wrong_type }, { 5, wrong_version }, { 5, unknown_route }, { 5, wrong_method },
  { 3, of_a_page }, { 5, bad_query }, { 5, bad_pull }, { 5, bad_presence }, { 10, bad_changes },
}

local lots = {}
for _, kind in ipairs(kinds) do
  for _ = 1, kind[1] do
    table.insert(lots, kind[2])
  end
end

function request()
  return draw(lots)()
end

function response(status, headers, body)
  answers[status] = (answers[status] or 0) + 1
  if status == 200 then
    cursor = body:match('"cursor":"([%w_-]+)","has_more"') or cursor
  elseif status == 500 then
    print("500: " .. body)
  end
end

function done(summary)
  local all, statuses = {}, {}
  for _, thread in ipairs(threads) do
    for status, count in pairs(thread:get("answers")) do
      if not all[status] then
        table.insert(statuses, status)
      end
      all[status] = (all[status] or 0) + count
    end
  end
  table.sort(statuses)
  for _, status in ipairs(statuses) do
    print("answered " .. status .. ": " .. all[status])
  end
  print(string.format("errors: connect %d, read %d, write %d, timeout %d",
    summary.errors.connect, summary.errors.read, summary.errors.write, summary.errors.timeout))
end
