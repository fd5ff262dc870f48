-- In front of what few runs of a verb need, up to has_been_asked.lua: to make so many
-- functions takes as long as a small command, and most jobs are no nodes.

local function workflows()
