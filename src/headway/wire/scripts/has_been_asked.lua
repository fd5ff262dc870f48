return { settle = settle, part = part }
end

