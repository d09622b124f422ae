-- METHOD TARGET with HEADERS (one per line) and BODY. In target and body @pick@ is a random line of the file PICKS, and
-- @next@ a number that was not there before, after RUN.
local method, target, body = os.getenv("METHOD"), os.getenv("TARGET"), os.getenv("BODY")
local headers, ready, at = {}, {}, 0
for name, value in (os.getenv("HEADERS") .. "\n"):gmatch("([^:\n]+): ([^\n]*)\n") do headers[name] = value end
local function fill(text, mark, value)
  return text and text:gsub(mark, function() return value end)
end
init = function()
  math.randomseed(os.time())
  -- Made once: what is done for each request is done by the generator, which must not be what is measured.
  if os.getenv("PICKS") then
    for line in io.lines(os.getenv("PICKS")) do
      ready[#ready + 1] = wrk.format(method, fill(target, "@pick@", line), headers, fill(body, "@pick@", line))
    end
  elseif not (target .. (body or "")):find("@next@") then
    ready[1] = wrk.format(method, target, headers, body)
  end
end
request = function()
  if #ready > 0 then return ready[math.random(#ready)] end
  at = at + 1
  local name = os.getenv("RUN") .. "-" .. at
  return wrk.format(method, fill(target, "@next@", name), headers, fill(body, "@next@", name))
end
-- What bench/peers reads: one line of JSON.
done = function(summary, latency)
  io.write(string.format(
    '{"per_second": %.1f, "p50_ms": %.3f, "p99_ms": %.3f, "requests": %d, "failed": %d, "failed_reads": %d}\n',
    summary.requests / (summary.duration / 1e6), latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    summary.requests, summary.errors.status + summary.errors.connect + summary.errors.timeout, summary.errors.read))
end
