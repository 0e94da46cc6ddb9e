--- Draws folded stacks ("frame;frame;frame" -> count) as an SVG.
-- @module cli.flame_svg

local WIDTH, ROW, TOP, BOTTOM = 1200, 17, 60, 30 -- pixels
local CHARACTER = 7 -- pixels of a letter
local SHARE_MIN = 0.0002 -- of the width; what is narrower is left out

local function new_node(name)
    return { name = name, count = 0, children = {}, by_name = {} }
end

local function child_of(node, name)
    local child = node.by_name[name]
    if not child then
        child = new_node(name)
        node.by_name[name] = child
        table.insert(node.children, child)
    end
    return child
end

local function tree_of(stacks)
    local root = new_node("all")
    for stack, count in pairs(stacks) do
        local node = root
        root.count = root.count + count
        for name in stack:gmatch("[^;]+") do
            node = child_of(node, name)
            node.count = node.count + count
        end
    end
    return root
end

local ESCAPES = { ["&"] = "&amp;", ["<"] = "&lt;", [">"] = "&gt;",
    ['"'] = "&quot;" }

local function escape(text)
    return (text:gsub('[&<>"]', ESCAPES):gsub("[%z\1-\31\127-\255]", "?"))
end

-- The same name has the same colour; what is not Lua is green.
local function colour(name)
    local hash = 7
    for i = 1, #name do
        hash = (hash * 31 + name:byte(i)) % 1009
    end
    if name:find("^%(") or not name:find("@") then
        return ("rgb(%d,%d,%d)"):format(90 + hash % 60, 180 + hash % 50, 100 + hash % 40)
    end
    return ("rgb(%d,%d,%d)"):format(210 + hash % 45, 90 + hash % 110, 40 + hash % 40)
end

local function label(name, pixels)
    local room = math.floor((pixels - 6) / CHARACTER)
    if room < 3 then
        return ""
    end
    return #name > room and name:sub(1, room - 2) .. ".." or name
end

local FRAME = [[
<g class="frame" data-x="%.9f" data-w="%.9f" data-depth="%d" data-name="%s"><title>%s</title>]]
    .. [[<rect x="%.1f" y="%d" width="%.1f" height="%d" fill="%s"/>]]
    .. [[<text x="%.1f" y="%d">%s</text></g>
]]

local function draw(out, node, total, x, depth, height)
    local share = node.count / total
    if share < SHARE_MIN then
        return
    end
    local name = escape(node.name)
    local y = height - BOTTOM - (depth + 1) * ROW
    local title = ("%s (%d samples, %.2f%%)"):format(name, node.count, share * 100)
    out[#out + 1] = FRAME:format(x, share, depth, name, title, x * WIDTH, y,
        math.max(share * WIDTH - 0.5, 0.1), ROW - 1, colour(node.name),
        x * WIDTH + 3, y + 12, escape(label(node.name, share * WIDTH)))
    table.sort(node.children, function(a, b) return a.name < b.name end)
    for _, child in ipairs(node.children) do
        draw(out, child, total, x, depth + 1, height)
        x = x + child.count / total
    end
end

local function depth_of(node)
    local deepest = 0
    for _, child in ipairs(node.children) do
        deepest = math.max(deepest, depth_of(child))
    end
    return deepest + 1
end

local HEAD = [[
<?xml version="1.0" standalone="no"?>
<svg xmlns="http://www.w3.org/2000/svg" version="1.1" width="%d" height="%d"
 viewBox="0 0 %d %d" data-width="%d">
<style>text { font: 12px monospace; pointer-events: none }
.frame { cursor: pointer } .frame:hover rect { stroke: black }
rect.hit { fill: rgb(230,0,230) } .button { pointer-events: all; cursor: pointer }</style>
<rect width="100%%" height="100%%" fill="rgb(248,248,240)"/>
<text x="10" y="24" style="font-size: 17px">%s</text>
<text id="reset" class="button" x="10" y="46">[show all]</text>
<text id="search" class="button" x="100" y="46">[search]</text>
<text id="matched" x="180" y="46"></text>
<text id="details" x="10" y="%d"></text>
]]

local flame_svg = {}

--- @tparam {[string]=number} stacks
-- @tparam string title
-- @tparam string script what makes zoom and search work
-- @treturn string
function flame_svg.draw(stacks, title, script)
    local root = tree_of(stacks)
    local height = TOP + BOTTOM + depth_of(root) * ROW
    local out = { HEAD:format(WIDTH, height, WIDTH, height, WIDTH, escape(title),
        height - 10) }
    draw(out, root, root.count, 0, 0, height)
    out[#out + 1] = "<script><![CDATA[\n" .. script .. "]]></script>\n</svg>\n"
    return table.concat(out)
end

return flame_svg
